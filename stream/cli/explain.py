"""`quakecast explain`: why a region's forecast is what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ingest.bus import REGION_PARTITIONS, sqlite_path
from ingest.event import Event, encode
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable, partition_of
from stream.cli.composition import open_library
from stream.cli.options import EMBEDDED, JsonOption, ModelOption, ModelsOption, RegionsOption, StoreOption, read_time, region_named
from stream.core import Lineup, champion_memory
from stream.partition import basis_of
from stream.records import Explanation, Influence
from stream.store import open_store

if TYPE_CHECKING:
    from models.forecaster import LstmForecaster, ModelLibrary

EXPLAIN_EXAMPLES = "Example: quakecast explain --region turkiye --catalog turkiye.csv --at 2023-02-06T12:00:00Z"


class Known(NamedTuple):
    """What is known of a region at a moment."""

    memory: bytes
    events: tuple[Event, ...]
    """For their places' names."""
    at: Instant
    lineup: Lineup = Lineup()
    """Whose memory it is."""


def explain(
    region: Annotated[str, typer.Option("--region", help="The region, by its id.")],
    store: StoreOption = EMBEDDED,
    catalog: Annotated[
        list[Path] | None, typer.Option("--catalog", help="Instead of the windows, a catalogue file; may be given several times.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="The moment; else the last of which anything is known.")] = None,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    json: JsonOption = False,
) -> None:
    """Why a region's forecast is what it is: which past events hold which share of the rate, and which inputs moved it."""
    moment, table, library = read_time(at) if at else None, RegionTable.load(regions), open_library(model, models)
    place = region_named(table, region)
    known = _by_catalogue(catalog, table, place, moment, library.own) if catalog else _by_store(store, table, place, moment, library)
    explanation = _explained(known, place, library)
    if json:
        typer.echo(encode(explanation))
        return
    for line in _lines(explanation, {int(event.time): event.place for event in known.events}):
        typer.echo(line)


def explanation_of(store: str, table: RegionTable, region: str, library: ModelLibrary) -> Explanation:
    """Why a region's forecast is what it is, from the windows as they are now.

    Raises:
        Problem: they cannot be reached, or hold nothing of the region.
    """
    return _explained(_by_store(store, table, table[region], None, library), table[region], library)


def _explained(known: Known, region: Region, library: ModelLibrary) -> Explanation:
    from models.forecaster import explain_forecast as explained
    from models.timing import COUNT

    past, network = library.champion(known.lineup).past(known.memory), library.network(known.lineup)
    if not past[COUNT]:
        raise Problem(
            f"nothing is known of {region.id} up to {known.at}: no earthquake of M {region.magnitude_of_completeness:g} or more",
            "choose another region or a later moment",
        )
    return explained(network.timing, past, region.id, region.magnitude_of_completeness, known.at)


def _by_catalogue(files: list[Path], table: RegionTable, region: Region, at: Instant | None, forecaster: LstmForecaster) -> Known:
    """The fold of the region's earthquakes up to then; without a moment, up to the end of the catalogue."""
    from models.catalog import earthquakes, read_events

    found = earthquakes(read_events(files))
    moment = at if at is not None else max((event.time for event in found), default=Instant(0))
    own = tuple(
        event
        for event in found
        if event.time <= moment
        and (event.magnitude or 0.0) >= region.magnitude_of_completeness
        and table.region_of(event.latitude, event.longitude).id == region.id
    )
    memory = forecaster.start(region)
    for event in own:
        memory = forecaster.observe(memory, event, region)
    return Known(memory, own, moment)


def _by_store(url: str, table: RegionTable, region: Region, at: Instant | None, library: ModelLibrary) -> Known:
    """The memory as a worker keeps it; without a moment, at the stream's own time.

    Raises:
        Problem: nothing is kept there of the region, another model made it, or the moment is before its last event.
    """
    remedy = "name the windows with --store, or explain a catalogue with --catalog"
    if url.startswith("sqlite:") and not sqlite_path(url).is_file():  # SQLite would make one
        raise Problem(f"there are no windows at {url}", remedy)
    store = open_store(url)
    saved = store.load(partition_of(region.id, REGION_PARTITIONS))
    store.close()
    if saved is None or region.id not in saved.regions:
        raise Problem(f"{url} holds nothing of {region.id}", f"{remedy}; a region is kept from its first event on")
    basis = basis_of(library.own, table)
    if saved.position.basis != basis:
        raise Problem(
            f"the windows at {url} were made by {saved.position.basis}, not by {basis}",
            "name that model with --model, its table with --regions",
        )
    kept = saved.regions[region.id]
    last = max((event.time for event in kept.events), default=saved.position.clock)
    moment = at if at is not None else max(saved.position.clock, last)
    if moment < last:
        raise Problem(
            f"the last event of {region.id} came at {last}, after {moment}", "explain an earlier moment from a catalogue, with --catalog"
        )
    lineup = saved.position.lineup
    head = champion_memory(kept.memory.head) if lineup.challenger else kept.memory.head
    return Known(head, kept.events, moment, lineup)


def _lines(explanation: Explanation, places: dict[int, str]) -> Iterator[str]:
    rest = 1.0 - explanation.background_share - explanation.older_share - sum(event.share for event in explanation.events)
    yield f"{explanation.region}, {explanation.at}: {explanation.rate_per_day:.3g} events a day expected by the kernels, brought on by"
    yield f"\n{'share':>7}  {'time':24}  {'magnitude':>9}  place"
    for event in explanation.events:
        where = f"{event.latitude:8.3f} {event.longitude:9.3f}  {places.get(int(event.time), '')}".rstrip()
        yield f"{event.share:7.1%}  {event.time!s:24}  {event.magnitude:9.2f}  {where}"
    shares = {"other recent events": max(rest, 0.0), "older events": explanation.older_share, "background": explanation.background_share}
    yield from (f"{share:7.1%}  {name}" for name, share in shares.items())
    yield from _influences("ln of how many events the last event is expected to bring: 0.69 more is twice as many", explanation.last_event)
    yield from _influences(
        "ln of the wait, counted in events expected by the kernels, as the memory has it: −0.58 where it agrees with them",
        explanation.memory,
    )


def _influences(title: str, influences: list[Influence]) -> Iterator[str]:
    if influences:
        yield f"\n{title}"
    for influence in influences:
        name = "with average inputs" if influence.name == "average" else influence.name
        yield f"{influence.effect:+7.2f}  {name}"

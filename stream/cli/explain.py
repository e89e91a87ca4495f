"""`quakecast explain`: explain a region's forecast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from ingest.bus import REGION_PARTITIONS, sqlite_path
from ingest.event import Event, encode
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable, partition_of
from stream.cli.composition import open_library
from stream.cli.options import (
    EMBEDDED,
    JsonOption,
    ModelOption,
    ModelsOption,
    RegionOption,
    RegionsOption,
    StoreOption,
    find_region,
    read_time,
)
from stream.core import Lineup, champion_memory
from stream.partition import basis_of
from stream.records import Explanation, Influence, decode_forecast
from stream.store import open_store

if TYPE_CHECKING:
    from models.forecaster import LstmForecaster, ModelLibrary

EXPLAIN_EXAMPLES = "Example: quakecast explain --region turkiye --catalog turkiye.csv --at 2023-02-06T12:00:00Z"


class RegionState(NamedTuple):
    """The state of a region at a moment, from which its forecast is explained."""

    memory: bytes
    events: tuple[Event, ...]
    """The region's events; the names of their places are printed."""
    at: Instant
    lineup: Lineup = Lineup()
    """The models that computed the memory."""
    test: bool = False
    """Whether the forecast is not live."""


def explain(
    region: RegionOption,
    store: StoreOption = EMBEDDED,
    catalog: Annotated[
        list[Path] | None,
        typer.Option("--catalog", help="Explain from this catalogue file instead of the store; may be given several times."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Time of the explanation; by default the stream's time, or the end of the catalogue.")
    ] = None,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    json: JsonOption = False,
) -> None:
    """Explain a region's forecast: the share of the rate that each past event contributes, and the effect of the inputs."""
    moment, table = read_time(at) if at else None, RegionTable.load(regions)
    library = open_library(model, models, table)
    target = find_region(table, region)
    state = (
        _fold_catalogue(catalog, table, target, moment, library.own) if catalog else _load_windows(store, table, target, moment, library)
    )
    explanation = _explain_state(state, target, library)
    if json:
        typer.echo(encode(explanation))
        return
    for line in _explanation_lines(explanation, {int(event.time): event.place for event in state.events}):
        typer.echo(line)


def explain_region(store: str, table: RegionTable, region: str, library: ModelLibrary) -> Explanation:
    """Explain a region's forecast from the present windows in the store.

    Raises:
        Problem: the store cannot be reached, or holds no event of the region.
    """
    return _explain_state(_load_windows(store, table, table[region], None, library), table[region], library)


def _explain_state(state: RegionState, region: Region, library: ModelLibrary) -> Explanation:
    from models.forecaster import explain_forecast
    from models.timing import COUNT

    past, network = library.champion(state.lineup).past(state.memory), library.network(state.lineup)
    if not past[COUNT]:
        raise Problem(
            f"no earthquake of M {region.magnitude_of_completeness:g} or more in {region.id} up to {state.at}",
            "choose another region or a later time",
        )
    explanation = explain_forecast(network.timing, past, region.id, region.magnitude_of_completeness, state.at)
    return msgspec.structs.replace(explanation, test=state.test)


def _fold_catalogue(files: list[Path], table: RegionTable, region: Region, at: Instant | None, forecaster: LstmForecaster) -> RegionState:
    """Fold the region's earthquakes up to a moment, by default up to the end of the catalogue, as a worker would."""
    from models.catalog import earthquakes, read_events

    events = earthquakes(read_events(files))
    moment = at if at is not None else max((event.time for event in events), default=Instant(0))
    in_region = tuple(
        event
        for event in events
        if event.time <= moment
        and (event.magnitude or 0.0) >= region.magnitude_of_completeness - forecaster.source_depth
        and table.region_of(event.latitude, event.longitude).id == region.id
    )
    memory = forecaster.start(region)
    for event in in_region:
        memory = forecaster.observe(memory, event, region)
    return RegionState(memory, in_region, moment)


def _load_windows(url: str, table: RegionTable, region: Region, at: Instant | None, library: ModelLibrary) -> RegionState:
    """Load the state that a worker saved, as of a moment; by default as of the stream's own time.

    Raises:
        Problem: the store has no state of the region, it belongs to another model, or the moment is before the last event.
    """
    remedy = "name the store of the windows with --store, or explain a catalogue with --catalog"
    if url.startswith("sqlite:") and not sqlite_path(url).is_file():  # SQLite would create one
        raise Problem(f"the store {url} does not exist", remedy)
    store = open_store(url)
    saved = store.load(partition_of(region.id, REGION_PARTITIONS))
    store.close()
    if saved is None or region.id not in saved.regions:
        raise Problem(f"the store {url} has no state of {region.id}", f"{remedy}; a region has a state from its first event on")
    basis = basis_of(library.own, table)
    if saved.position.basis != basis:
        raise Problem(
            f"the windows in {url} were computed with {saved.position.basis}, not with {basis}",
            "name that model with --model, and its region table with --regions",
        )
    events, memory = saved.regions[region.id].events, saved.regions[region.id].memory
    last = max((event.time for event in events), default=saved.position.clock)
    moment = at if at is not None else max(saved.position.clock, last)
    if moment < last:
        raise Problem(
            f"the last event of {region.id} is of {last}, after {moment}", "explain an earlier time from a catalogue, with --catalog"
        )
    lineup = saved.position.lineup
    head = champion_memory(memory.head) if lineup.challenger else memory.head
    forecast = saved.regions[region.id].forecast
    return RegionState(head, events, moment, lineup, forecast is not None and decode_forecast(forecast).test)


def _explanation_lines(explanation: Explanation, places: dict[int, str]) -> Iterator[str]:
    rest = 1.0 - explanation.background_share - explanation.older_share - sum(event.share for event in explanation.events)
    yield f"{explanation.region}, {explanation.at}: {explanation.rate_per_day:.3g} events a day expected by the kernels, brought on by"
    yield f"\n{'share':>7}  {'time':24}  {'magnitude':>9}  place"
    for event in explanation.events:
        where = f"{event.latitude:8.3f} {event.longitude:9.3f}  {places.get(int(event.time), '')}".rstrip()
        yield f"{event.share:7.1%}  {event.time!s:24}  {event.magnitude:9.2f}  {where}"
    shares = {"other recent events": max(rest, 0.0), "older events": explanation.older_share, "background": explanation.background_share}
    yield from (f"{share:7.1%}  {name}" for name, share in shares.items())
    yield from _influence_lines(
        "ln of how many events the last event is expected to bring: 0.69 more is twice as many", explanation.last_event
    )
    yield from _influence_lines(
        "ln of the wait, counted in events expected by the kernels, as the memory has it: −0.58 where it agrees with them",
        explanation.memory,
    )


def _influence_lines(title: str, influences: list[Influence]) -> Iterator[str]:
    if influences:
        yield f"\n{title}"
    for influence in influences:
        name = "with average inputs" if influence.name == "average" else influence.name
        yield f"{influence.effect:+7.2f}  {name}"

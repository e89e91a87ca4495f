"""`quakecast simulate`: scenarios of how a sequence may unfold after a mainshock."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable
from stream.cli.options import ModelOption, RegionOption, RegionsOption, find_region, read_time

if TYPE_CHECKING:
    from models.catalog import PointPattern
    from models.simulation import Mainshock, RegionMaps, Scenarios

SIMULATE_EXAMPLES = "Example: quakecast simulate --region california --mainshock 7.0 --at 35.7,-117.5 --days 30 --with etas -o scenarios"
HISTORY_DAYS = 3_650.0
"""Length of the history, free of events, that is assumed without a catalogue."""
MOST_SIMULATIONS = 10_000
LARGEST_MAINSHOCK = 9.6
"""Equal to `models.catalog.LARGEST_MAGNITUDE`, as a test checks; importing that constant would delay the start of every command."""
ASSUMED_EVENTS_PER_DAY, BACKGROUND_SHARE = 0.05, 0.3
"""Assumed without a catalogue: the events per day of the region, and the share of them that are background events."""


class SimulationSource(StrEnum):
    """The model that simulates; `cnn` is the forecaster with the map of its CNN."""

    gan = "gan"
    forecaster = "forecaster"
    cnn = "cnn"
    etas = "etas"


def simulate(
    region: RegionOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for scenarios.csv, scenario.xml and two pictures.")],
    mainshock: Annotated[float, typer.Option("--mainshock", min=0.0, max=LARGEST_MAINSHOCK, help="Magnitude of the mainshock.")] = 7.0,
    days: Annotated[float, typer.Option("--days", help="Days to simulate; at most 30 with the GAN.")] = 30.0,
    n: Annotated[int, typer.Option("--n", min=1, max=MOST_SIMULATIONS, help="Number of simulations.")] = 1_000,
    source: Annotated[
        SimulationSource, typer.Option("--with", help="The model that simulates; cnn is the forecaster with the map of its CNN.")
    ] = SimulationSource.forecaster,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same scenarios.")] = 0,
    catalog: Annotated[
        list[Path] | None, typer.Option("--catalog", help="Catalogue file of the events before the mainshock; may be given several times.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="LATITUDE,LONGITUDE of the mainshock; by default those of the largest recent event of the catalogue."),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Time of the mainshock; by default after the catalogue, or 2020-01-01.")
    ] = None,
    model: ModelOption = None,
    regions: RegionsOption = None,
) -> None:
    """Simulate how a sequence may unfold after a mainshock: files of events, pictures, and a table. Simulated, not observed."""
    from ingest.seismology import quakeml
    from models.simulation import DISCLAIMER, expected_maps_picture, scenario_csv, scenario_picture, table_lines, write_folder

    if not 0.0 < days <= 365.0:
        raise Problem(f"cannot simulate {days:g} days", "choose more than 0 and up to 365 days")
    table = RegionTable.load(regions)
    past = _past(catalog, table, find_region(table, region), read_time(time) if time else None)
    shock = _mainshock(past, mainshock, at, table, region)
    scenarios = _simulate(source, model, past, shock, days, n, seed, region)
    first = scenarios.numbers == 0
    rows = [
        (shock.time.plus(days=float(day)), float(latitude), float(longitude), None if math.isnan(depth) else float(depth), float(size))
        for day, latitude, longitude, depth, size in zip(*(column[first] for column in scenarios[1:6]), strict=True)
    ]
    pictures = {"scenario.png": scenario_picture(scenarios), "maps.png": expected_maps_picture(scenarios)}
    files = {"scenarios.csv": scenario_csv(scenarios), "scenario.xml": quakeml(rows, DISCLAIMER), **pictures}
    write_folder(output, files)
    where = f"{shock.latitude:.2f}, {shock.longitude:.2f}"
    typer.echo(f"{scenarios.source}: M {mainshock:g} at {where}, {n:,} simulations of {days:g} days; {DISCLAIMER}")
    for line in table_lines(scenarios, past.magnitude_of_completeness):
        typer.echo(line)
    if scenarios.truncated:
        typer.echo(f"{scenarios.truncated} simulations had no end and were cut or drawn again")
    typer.echo(f"wrote {', '.join(str(output / name) for name in files)}")


def _past(files: list[Path] | None, table: RegionTable, region: Region, moment: Instant | None) -> PointPattern:
    """Return the region's earthquakes before a moment."""
    import shapely

    from models.catalog import Span, earthquakes, make_point_pattern, read_events

    events = [
        event
        for event in (earthquakes(read_events(files)) if files else [])
        if (moment is None or event.time < moment) and table.region_of(event.latitude, event.longitude).id == region.id
    ]
    last = max((event.time for event in events), default=Instant.parse("2020-01-01").plus(seconds=-1.0))
    end = moment or Instant(int(last) + 1_000)
    start = min((event.time for event in events), default=end.plus(days=-HISTORY_DAYS))
    corners = [(event.longitude, event.latitude) for event in events]
    area = shapely.box(*shapely.MultiPoint(corners).bounds).buffer(0.5) if corners else None
    return make_point_pattern(events, region.magnitude_of_completeness, Span(start, end), area)


def _mainshock(past: PointPattern, magnitude: float, at: str | None, table: RegionTable, region: str) -> Mainshock:
    from models.simulation import Mainshock

    if at is None:
        if not len(past):
            raise Problem("the mainshock has no place", "give it with --at LATITUDE,LONGITUDE, or name a catalogue with --catalog")
        row = int(past.magnitudes[-1_000:].argmax()) + max(len(past) - 1_000, 0)
        return Mainshock(past.observed.end, float(past.latitudes[row]), float(past.longitudes[row]), magnitude)
    try:
        latitude, longitude = (float(part) for part in at.split(","))
    except ValueError:
        raise Problem(f"{at!r} is not LATITUDE,LONGITUDE", "write it as 35.7,-117.5") from None
    if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
        raise Problem(f"{at!r} is outside the globe", "latitude must be within ±90 and longitude within ±180 degrees")
    if table.region_of(latitude, longitude).id != region:
        raise Problem(f"{at} is not in {region}", f"name a place in it, or --region {table.region_of(latitude, longitude).id}")
    return Mainshock(past.observed.end, latitude, longitude, magnitude)


def _simulate(
    source: SimulationSource, model: Path | None, past: PointPattern, shock: Mainshock, days: float, n: int, seed: int, region: str
) -> Scenarios:
    from models.artifact import read_forecaster, read_gan
    from models.baselines import SEQUENCES, fit_etas, fit_poisson, fit_times
    from models.gan import circle, radius_km
    from models.simulation import etas_scenarios, forecaster_scenarios, gan_scenarios

    if source is SimulationSource.gan:
        generator, gan_card = read_gan(model)
        return gan_scenarios(generator, past, shock, days, n, seed, gan_card.name)
    rate = max(len(past) / max(past.day_of(past.observed.end), 1.0), 1e-3) if len(past) else ASSUMED_EVENTS_PER_DAY
    around = circle(shock.latitude, shock.longitude, 3.0 * radius_km(shock.magnitude) + 50.0)
    if source in (SimulationSource.forecaster, SimulationSource.cnn):
        network, card = read_forecaster(model)
        background = network.timing.background_of(region, mean_rate=rate)
        maps, name = _cnn_map(card.name, region, past) if source is SimulationSource.cnn else (None, card.name)
        return forecaster_scenarios(network, past, shock, days, n, seed, background, around, name, maps)
    if len(past) >= 200:
        parameters = fit_times(fit_etas(past, past.observed).parameters, past, past.observed, SEQUENCES)
        law = fit_poisson(past, past.observed).magnitudes
        return etas_scenarios(past, shock, days, n, seed, rate, around, (parameters, law), "ETAS fitted to the catalogue")
    name = "ETAS of the built-in baselines, its spatial kernel assumed"
    return etas_scenarios(past, shock, days, n, seed, BACKGROUND_SHARE * rate, around, None, name, region)


def _cnn_map(base: str, region: str, past: PointPattern) -> tuple[RegionMaps, str]:
    """Return the forecaster's CNN for a region, and the name of the two together."""
    from models.artifact import built_in_cnn
    from models.simulation import RegionMaps

    if not len(past):
        raise Problem(
            "`--with cnn` needs the events before the mainshock", "name a catalogue with --catalog, or simulate --with forecaster"
        )
    network, name = built_in_cnn(base) or (None, "")
    if network is None or region not in network.architecture.grids:
        raise Problem(f"no CNN was trained for {region} on top of {base}", "simulate --with forecaster")
    return RegionMaps(network, network.architecture.grids[region]), f"{base}+{name}"

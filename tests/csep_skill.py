"""pyCSEP's tests of the next day's, week's and month's maps on real days of California, beside our ETAS: pass rates at 5 %.

    python -m tests.csep_skill MODEL --days 1 --n 200       each day as a line of JSON, then the table

Days of the validation span (1998–2006): after Hector Mine, San Simeon and Parkfield, and random ones; both models simulate equally often.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import Instant
from ingest.problem import Problem
from models import artifact, csep
from models.baselines import stationary
from models.baselines.etas import Etas
from models.baselines.etas_simulate import lasting, simulate
from models.cnn_train import fit_maps
from models.curriculum import Lesson
from models.pattern import Pattern, Span, read_polygon
from models.roll import rolled
from models.roll_maps import RegionMaps, factors_at
from models.roll_start import history_of
from models.space_time import SpaceTimeNetwork
from tests.skill import BENCHMARKS, DATA, lesson_of

FloatArray = NDArray[np.float64]
NAME = "ComCat_25"
LARGE = ("1999-10-16T10:00:00Z", "2003-12-22T19:30:00Z", "2004-09-28T17:30:00Z")
AFTER_DAYS = (0.0, 0.5, 1.0, 3.0, 7.0, 20.0)
MOST_EVENTS = 2_000
ETAS_EVENTS = 20_000
TESTS = ("N Poisson", "N simulated", "S", "M", "CL")


def moments(validation: Span, days: float, count: int) -> list[Instant]:
    """Random ones, then those after large events, which take longer."""
    chance, length = np.random.default_rng(5), (int(validation.end) - int(validation.start)) / 86_400_000.0
    large = [Instant.parse(text).plus(days=after) for after in AFTER_DAYS for text in LARGE]
    random = [validation.start.plus(days=float(day)) for day in chance.uniform(0.0, length - days, count - len(large))]
    return random + large


def maps_of(network: SpaceTimeNetwork, lesson: Lesson) -> RegionMaps:
    """A CNN on top of the network, for the lesson's one region."""
    trained, _ = fit_maps(network, [lesson])
    return RegionMaps(trained, trained.architecture.grids[lesson.region])


def rates(lines: list[dict[str, Any]]) -> Iterator[str]:
    """The table, with exact binomial intervals."""
    for model in [name for name in lines[0] if isinstance(lines[0][name], dict)]:
        for test in TESTS:
            said = [line[model][test] for line in lines if line[model][test] is not None]
            if said:
                interval = binomtest(sum(said), len(said)).proportion_ci()
                yield f"{model:12}{test:12}{np.mean(said):8.1%} [{interval.low:.1%}, {interval.high:.1%}]  of {len(said)}"
        if model != "etas":
            gains, events = (np.array([one[key] for one in gained(lines, model)]) for key in range(2))
            low, high = np.quantile(resampled(gains, events), (0.025, 0.975))
            yield f"{model:12}place over ETAS, ln a cell, per event {gains.sum() / events.sum():+.3f} [{low:+.3f}, {high:+.3f}]"


def gained(lines: list[dict[str, Any]], model: str) -> list[tuple[float, int]]:
    """By moment, ln of the density over ETAS's, summed over its events, and how many they are."""
    return [(line[model]["place"] - line["etas"]["place"], line["observed"]) for line in lines if line["observed"]]


def resampled(gains: FloatArray, events: FloatArray) -> FloatArray:
    """(draws,) gains per event of moments drawn again."""
    rows = np.random.default_rng(0).integers(len(gains), size=(2_000, len(gains)))
    found: FloatArray = gains[rows].sum(1) / events[rows].sum(1)
    return found


def main() -> None:
    """Print lines as they come, and the table after every ten."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--count", type=int, default=118)
    parser.add_argument("--maps", action="store_true", help="and with a CNN, trained on the train span first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    network, _ = artifact.read(given.model)
    lesson, polygon = lesson_of(NAME, DATA), read_polygon(DATA / f"{BENCHMARKS[NAME].polygon}.npy")
    known = lesson.pattern.before(lesson.validation.end)
    poisson = stationary.fit(known, lesson.train)
    etas = Etas.load(DATA / "etas_parameters.json", NAME, poisson.magnitudes)
    history = history_of(network, known, network.timing.background(network.timing.architecture.regions[0]) or 0.1)
    grid = csep.grid_of(polygon, known.magnitude_of_completeness)
    long_run = csep.long_run_of(grid, known.before(lesson.train.end))
    maps = maps_of(network, lesson._replace(pattern=known, region="")) if given.maps else None
    lines: list[dict[str, Any]] = []
    for number, moment in enumerate(moments(lesson.validation, given.days, given.count)):
        rows = known.rows(Span(moment, moment.plus(days=given.days)))
        came = known.before(moment.plus(days=given.days))
        came = _slice(came, rows)
        own = rolled(history, moment, given.days, given.n, number, polygon, MOST_EVENTS)
        past = known.before(moment)
        made, given_up = _etas(etas, polygon, given.days, given.n, number, past)
        simulated = {
            "forecaster": (own.longitudes, own.latitudes, own.magnitudes, own.counts(given.days)),
            "etas": (
                np.concatenate([one.longitudes for one in made]),
                np.concatenate([one.latitudes for one in made]),
                np.concatenate([one.magnitudes for one in made]),
                np.array([len(one) for one in made]),
            ),
        }
        if maps is not None:
            factors = factors_at(maps, history, moment)
            mapped = rolled(history, moment, given.days, given.n, number, polygon, MOST_EVENTS, factors)
            simulated["with maps"] = (mapped.longitudes, mapped.latitudes, mapped.magnitudes, mapped.counts(given.days))
        line: dict[str, Any] = {"moment": str(moment), "observed": len(came), "cut": int(own.cut.sum()), "given_up": given_up}
        for name, (longitudes, latitudes, magnitudes, counts) in simulated.items():
            density = csep.density_of(grid, grid.raster(longitudes, latitudes), long_run)
            shares = csep.magnitude_shares(grid, magnitudes, poisson.magnitudes.beta)
            forecast = csep.forecast_of(grid, float(counts.mean()), density, shares, name)
            quantiles = [float(value) for value in np.quantile(counts, (0.025, 0.5, 0.975))]
            place = float(csep.log_densities(grid, density, came).sum())
            told = csep.tests_of(grid, forecast, came, counts, number)
            line[name] = {"expected": float(counts.mean()), "range": quantiles, "place": place, **told}
        lines.append(line)
        print(json.dumps(line), flush=True)
        if number % 10 == 9:
            print("\n".join(rates(lines)), flush=True)
    print("\n".join(rates(lines)))


def _etas(etas: Etas, polygon: shapely.Polygon, days: float, n: int, number: int, past: Pattern) -> tuple[list[Pattern], int]:
    """So many simulations, and how many more had no end: the published parameters let a few run away."""
    assert etas.magnitudes is not None
    made, given_up, before = list[Pattern](), 0, lasting(etas.parameters, past, days)
    while len(made) < n:
        try:
            seed = 100_000 * number + len(made) + given_up
            made.append(simulate(etas.parameters, etas.magnitudes, polygon, days, seed, before, most_events=ETAS_EVENTS))
        except (Problem, ValueError):  # numpy's Poisson refuses a mean beyond its integers
            given_up += 1
    return made, given_up


def _slice(pattern: Pattern, rows: slice | NDArray[np.int64]) -> Pattern:
    columns = ("times", "latitudes", "longitudes", "magnitudes", "depths_km")
    return replace(pattern, **{name: getattr(pattern, name)[rows] for name in columns})


if __name__ == "__main__":
    main()

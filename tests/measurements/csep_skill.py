"""pyCSEP's tests of the next day's, week's and month's maps on real days of California, beside our ETAS: pass rates at 5 %.

    python -m tests.measurements.csep_skill MODEL --days 1 --maps                             each day as a line of JSON, then the table
    python -m tests.measurements.csep_skill MODEL --days 30 --n 100 --count 78 --maps         the month, of which fewer are simulated

MODEL is the folder F/ComCat_25-0 that `python -m tests.measurements.skill ComCat_25 --seeds 1 --models F` writes; with `--maps` a CNN
is trained on top. Days of the validation span (1998–2006): random ones, and those after Hector Mine, San Simeon and Parkfield; both models
have the same number of simulations.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import Instant
from ingest.problem import Problem
from models.artifact.model_files import read_forecaster
from models.baselines.etas.model import Etas
from models.baselines.etas.simulate import PreparedHistory, prepare_history, simulate_etas
from models.baselines.poisson import fit_poisson
from models.catalog.datasets import RegionDataset
from models.catalog.point_pattern import PointPattern, Span, read_polygon
from models.cnn.factors import Factors
from models.cnn.train import fit_maps
from models.numerics.arrays import FloatArray
from models.simulation.rollout.cnn_map import RegionMaps, factors_at
from models.simulation.rollout.continuations import simulate_from
from models.simulation.rollout.start import history_of
from models.space_time import SpaceTimeNetwork
from tests.measurements import csep
from tests.measurements.skill import BENCHMARKS, DATA, dataset_of

NAME = "ComCat_25"
LARGE = ("1999-10-16T10:00:00Z", "2003-12-22T19:30:00Z", "2004-09-28T17:30:00Z")
AFTER_DAYS = (0.0, 0.5, 1.0, 3.0, 7.0, 20.0)
MOST_EVENTS = 2_000
ETAS_EVENTS = 20_000
TESTS = ("N Poisson", "N simulated", "S", "M", "CL")


def moments(validation: Span, days: float, count: int) -> list[Instant]:
    """Return random times, then times after large events, whose simulations take longer."""
    rng, length = np.random.default_rng(5), (int(validation.end) - int(validation.start)) / 86_400_000.0
    large = [Instant.parse(text).plus(days=after) for after in AFTER_DAYS for text in LARGE]
    random = [validation.start.plus(days=float(day)) for day in rng.uniform(0.0, length - days, count - len(large))]
    return random + large


def maps_of(network: SpaceTimeNetwork, dataset: RegionDataset) -> RegionMaps:
    """Train a CNN on top of the network, and return its maps for the dataset's region."""
    trained, _ = fit_maps(network, [dataset])
    return RegionMaps(trained, trained.architecture.grids[dataset.region])


def pass_rate_lines(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table, with exact binomial intervals."""
    for model in [name for name in lines[0] if isinstance(lines[0][name], dict)]:
        for test in TESTS:
            passed = [line[model][test] for line in lines if line[model][test] is not None]
            if passed:
                interval = binomtest(sum(passed), len(passed)).proportion_ci()
                yield f"{model:12}{test:12}{np.mean(passed):8.1%} [{interval.low:.1%}, {interval.high:.1%}]  of {len(passed)}"
        if model != "etas":
            gains, events = (np.array([one[key] for one in place_gains(lines, model)]) for key in range(2))
            low, high = np.quantile(bootstrap_gains(gains, events), (0.025, 0.975))
            yield f"{model:12}place over ETAS, ln a cell, per event {gains.sum() / events.sum():+.3f} [{low:+.3f}, {high:+.3f}]"


def place_gains(lines: list[dict[str, Any]], model: str) -> list[tuple[float, int]]:
    """Return, for each time with events, the gain in ln density over ETAS, summed over the events, and their number."""
    return [(line[model]["place"] - line["etas"]["place"], line["observed"]) for line in lines if line["observed"]]


def bootstrap_gains(gains: FloatArray, events: FloatArray) -> FloatArray:
    """Return the gain per event of times drawn with replacement: (draws,)."""
    rows = np.random.default_rng(0).integers(len(gains), size=(2_000, len(gains)))
    means: FloatArray = gains[rows].sum(1) / events[rows].sum(1)
    return means


class SimulatedEvents(NamedTuple):
    """The events of N simulations together, and their number in each simulation."""

    longitudes: FloatArray
    latitudes: FloatArray
    magnitudes: FloatArray
    counts: NDArray[np.int64]


class Comparison:
    """The comparison of the forecaster with ETAS, time by time."""

    def __init__(self, model: Path, with_maps: bool, days: float, simulations: int) -> None:
        network, _ = read_forecaster(model)
        self.dataset, polygon = dataset_of(NAME, DATA), read_polygon(DATA / f"{BENCHMARKS[NAME].polygon}.npy")
        if not isinstance(polygon, shapely.Polygon):
            raise TypeError(f"the region of {NAME} is cut by the date line")
        self._polygon = polygon
        self._known = known = self.dataset.pattern.before(self.dataset.validation.end)
        self._law = fit_poisson(known, self.dataset.train).magnitudes
        self._etas = Etas.load(DATA / "etas_parameters.json", NAME, self._law)
        self._history = history_of(network, known, network.timing.background_of(network.timing.architecture.regions[0]))
        self._grid = csep.grid_of(self._polygon, known.magnitude_of_completeness)
        self._long_run = csep.long_run_of(self._grid, known.before(self.dataset.train.end))
        self._maps = maps_of(network, self.dataset._replace(pattern=known, region="")) if with_maps else None
        self._days, self._simulations = days, simulations

    def line(self, number: int, moment: Instant) -> dict[str, Any]:
        """Return the forecasts of each model from a time on, and the tests that they pass."""
        until = moment.plus(days=self._days)
        observed = select_rows(self._known.before(until), self._known.rows(Span(moment, until)))
        made, given_up = simulated_by_etas(self._etas, self._polygon, self._days, self._simulations, number, self._known.before(moment))
        line: dict[str, Any] = {"moment": str(moment), "observed": len(observed), "given_up": given_up}
        line["forecaster"] = self._test("forecaster", self._simulate(number, moment, None), observed, number)
        line["etas"] = self._test("etas", made, observed, number)
        if self._maps is not None:
            mapped = self._simulate(number, moment, factors_at(self._maps, self._history, moment))
            line["with maps"] = self._test("with maps", mapped, observed, number)
        return line

    def _simulate(self, number: int, moment: Instant, factors: Factors | None) -> SimulatedEvents:
        own = simulate_from(self._history, moment, self._days, self._simulations, number, self._polygon, MOST_EVENTS, factors)
        return SimulatedEvents(own.longitudes, own.latitudes, own.magnitudes, own.counts(self._days))

    def _test(self, name: str, simulated: SimulatedEvents, observed: PointPattern, seed: int) -> dict[str, Any]:
        density = csep.density_of(self._grid, self._grid.raster(simulated.longitudes, simulated.latitudes), self._long_run)
        shares, expected = csep.magnitude_shares(self._grid, simulated.magnitudes, self._law.beta), float(simulated.counts.mean())
        return {
            "expected": expected,
            "range": np.quantile(simulated.counts, (0.025, 0.5, 0.975)).tolist(),
            "place": float(csep.log_densities(self._grid, density, observed).sum()),
            **csep.tests_of(self._grid, csep.forecast_of(self._grid, expected, density, shares, name), observed, simulated.counts, seed),
        }


def simulated_by_etas(
    etas: Etas, polygon: shapely.Polygon, days: float, n: int, number: int, past: PointPattern
) -> tuple[SimulatedEvents, int]:
    """Simulate with ETAS, and count the simulations without end, which a few have with the published parameters."""
    made, given_up = etas_patterns(etas, polygon, days, n, number, prepare_history(etas.parameters, past, days))
    longitudes, latitudes, magnitudes = (
        np.concatenate([getattr(one, column) for one in made]) for column in ("longitudes", "latitudes", "magnitudes")
    )
    return SimulatedEvents(longitudes, latitudes, magnitudes, np.array([len(one) for one in made])), given_up


def etas_patterns(
    etas: Etas, polygon: shapely.Polygon, days: float, n: int, number: int, before: PreparedHistory
) -> tuple[list[PointPattern], int]:
    """Return n simulations of ETAS with an end, and how many had none."""
    assert etas.magnitudes is not None
    made, given_up = list[PointPattern](), 0
    while len(made) < n:
        try:
            seed = 100_000 * number + len(made) + given_up
            made.append(simulate_etas(etas.parameters, etas.magnitudes, polygon, days, seed, before, most_events=ETAS_EVENTS))
        except (Problem, ValueError):  # numpy's Poisson refuses a mean beyond its integers
            given_up += 1
    return made, given_up


def select_rows(pattern: PointPattern, rows: slice) -> PointPattern:
    """Return the events of some rows of a pattern."""
    columns = ("times", "latitudes", "longitudes", "magnitudes", "depths_km")
    return replace(pattern, **{name: getattr(pattern, name)[rows] for name in columns})


def main() -> None:
    """Print a line for each time, and the table after every ten."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--count", type=int, default=118)
    parser.add_argument("--maps", action="store_true", help="and with a CNN, trained on the train span first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    comparison, lines = Comparison(given.model, given.maps, given.days, given.n), list[dict[str, Any]]()
    for number, moment in enumerate(moments(comparison.dataset.validation, given.days, given.count)):
        lines.append(comparison.line(number, moment))
        print(json.dumps(lines[-1]), flush=True)
        if number % 10 == 9:
            print("\n".join(pass_rate_lines(lines)), flush=True)
    print("\n".join(pass_rate_lines(lines)))


if __name__ == "__main__":
    main()

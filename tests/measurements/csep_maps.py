"""The closed-form maps on real days of California: pyCSEP's tests and the ln density of the observed places, beside our ETAS.

    python -m tests.measurements.csep_maps MODEL                       118 moments, horizons of a day, a week and a month

MODEL is the folder F/ComCat_25-0 that `python -m tests.measurements.skill ComCat_25 --seeds 1 --models F` writes. Moments are those of
`tests.measurements.csep_skill` for a month. ETAS simulates a month; its shorter horizons are the beginnings of it. The weights of the
mixture are fitted on the earlier half of the moments for the later half, and the other way round: no moment is scored by weights that saw
it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.artifact.model_files import read_forecaster
from models.baselines.etas.model import Etas
from models.baselines.etas.simulate import prepare_history
from models.baselines.poisson import fit_poisson
from models.catalog.point_pattern import PointPattern, Span, read_polygon
from models.maps.cells import Cells
from models.maps.disc_masses import Discs, disc_masses
from models.maps.kernel_map import density_of, kernel_discs
from models.maps.live import bin_shares
from models.maps.mixture import COMPONENTS, fit_weights
from models.maps.moment import MapMoment
from models.maps.smoothed_catalogue import catalogue_density
from models.numerics.arrays import FloatArray
from models.simulation.branching import simulate_branching
from models.simulation.outlook import MOST_EVENTS_BY_KERNELS, late_magnitudes
from models.simulation.rollout.start import history_of
from tests.measurements import csep
from tests.measurements.csep_skill import NAME, etas_patterns, moments, pass_rate_lines, select_rows
from tests.measurements.skill import BENCHMARKS, DATA, dataset_of

HORIZONS_DAYS = (1.0, 7.0, 30.0)
PARTS = COMPONENTS[:3]
"""The long-run map knows what came after 2006, so it is left out."""
PATHS = 500
AT_ONCE = 64
"""Discs whose masses are computed in one pass."""
EVEN_SHARES = (0.0, 0.1, 0.3)
"""Shares of the even part that are added to the fitted mixture."""


class Forecasts(NamedTuple):
    """The forecasts of one moment for H horizons, and what came."""

    moment: Instant
    numbers: FloatArray
    """(H,)"""
    densities: FloatArray
    """(PARTS, H, C)"""
    shares: FloatArray
    """(H, B) of the magnitude bins."""
    counts: NDArray[np.int64]
    """(H, PATHS) of the branching process by the kernels."""
    observed: list[PointPattern]
    """H patterns."""


class EtasForecasts(NamedTuple):
    """ETAS's forecasts of T moments, by simulation."""

    densities: FloatArray
    """(T, H, C)"""
    counts: NDArray[np.int64]
    """(T, H, n)"""
    shares: FloatArray
    """(T, H, B) of the magnitude bins."""


class Catalogue:
    """The benchmark's catalogue until the end of its validation span, and the cells of its region."""

    def __init__(self) -> None:
        self.dataset, polygon = dataset_of(NAME, DATA), read_polygon(DATA / f"{BENCHMARKS[NAME].polygon}.npy")
        assert isinstance(polygon, shapely.Polygon)
        self.known, self.polygon = self.dataset.pattern.before(self.dataset.validation.end), polygon
        self.grid = csep.grid_of(polygon, self.known.magnitude_of_completeness)

    def etas_forecasts(self, times: Sequence[Instant], simulations: int) -> EtasForecasts:
        """Simulate with ETAS from each moment."""
        law = fit_poisson(self.known, self.dataset.train).magnitudes
        etas = Etas.load(DATA / "etas_parameters.json", NAME, law)
        long_run = csep.long_run_of(self.grid, self.known.before(self.dataset.train.end))
        rows = list[tuple[FloatArray, NDArray[np.int64], FloatArray]]()
        for number, now in enumerate(times):
            rows.append(self._etas_forecast(etas, law.beta, long_run, number, now, simulations))
            print("ETAS", number, now, rows[-1][1].mean(1).round(1), flush=True)
        return EtasForecasts(*(np.array(part) for part in zip(*rows, strict=True)))

    def _etas_forecast(
        self, etas: Etas, beta: float, long_run: FloatArray, number: int, now: Instant, simulations: int
    ) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
        before = prepare_history(etas.parameters, self.known.before(now), HORIZONS_DAYS[-1])
        made = etas_patterns(etas, self.polygon, HORIZONS_DAYS[-1], simulations, number, before)[0]
        paths = np.repeat(np.arange(len(made)), [len(one) for one in made])
        columns = ("times", "longitudes", "latitudes", "magnitudes")
        times, longitudes, latitudes, magnitudes = (np.concatenate([getattr(one, name) for one in made]) for name in columns)
        densities, counts, shares = list[FloatArray](), list[NDArray[np.int64]](), list[FloatArray]()
        for days in HORIZONS_DAYS:
            rows = times < int(now) + days * MILLISECONDS_PER_DAY
            densities.append(csep.density_of(self.grid, self.grid.raster(longitudes[rows], latitudes[rows]), long_run))
            counts.append(np.bincount(paths[rows], minlength=len(made)))
            shares.append(csep.magnitude_shares(self.grid, magnitudes[rows], beta))
        return np.array(densities), np.array(counts), np.array(shares)


class Study:
    """Everything that all moments share: the catalogue, the forecaster's kernels, and the cells."""

    def __init__(self, model: Path, catalogue: Catalogue) -> None:
        network, _ = read_forecaster(model)
        self.known, self.grid = catalogue.known, catalogue.grid
        centres = self.grid.origins + 0.5 * csep.CELL_DEGREES
        self.cells = Cells(centres[:, 1], centres[:, 0], csep.CELL_DEGREES)
        self.history = history_of(network, self.known, network.timing.background_of(network.timing.architecture.regions[0]))
        self._masses = self._masses_of_each_disc()
        self._smoothed: dict[str, FloatArray] = {}

    def forecasts(self, number: int, now: Instant) -> Forecasts:
        """Return the forecasts of a moment."""
        moment = MapMoment(self.history, now)
        yields = moment.yields(HORIZONS_DAYS)
        kernels = kernel_discs(moment, yields, HORIZONS_DAYS)
        masses = np.asarray(kernels.discs.weights.astype(np.float32).T @ self._masses[: len(kernels.discs.weights)], np.float64)
        maps = (density_of(masses, kernels.even, self.cells), self._smoothed_of(now), self.cells.shares_of_area)
        densities = np.stack([np.broadcast_to(one, masses.shape) for one in maps])
        numbers = yields.expected(moment.excitation, self.history.background)
        shares = bin_shares(moment.reaching(tuple(self.grid.magnitudes.tolist()), HORIZONS_DAYS, np.zeros(len(HORIZONS_DAYS))))
        spans = [Span(now, now.plus(days=days)) for days in HORIZONS_DAYS]
        observed = [select_rows(self.known.before(span.end), self.known.rows(span)) for span in spans]
        return Forecasts(now, numbers, densities, shares, self._counts(moment, number), observed)

    def _masses_of_each_disc(self) -> NDArray[np.float32]:
        """Return the mass of each disc of each event in each cell, (N (M + 1), C): they do not change with the moment."""
        horizons = (1.0,)
        moment = MapMoment(self.history, self.known.observed.end)
        discs = kernel_discs(moment, moment.yields(horizons), horizons).discs
        masses = np.empty((len(discs.powers), len(self.cells)), np.float32)
        for low in range(0, len(masses), AT_ONCE):
            shapes = Discs(*(part[low : low + AT_ONCE] for part in discs))
            some = shapes._replace(weights=np.eye(len(shapes.powers)))
            masses[low : low + AT_ONCE] = disc_masses(self.cells, some)
        return masses

    def _smoothed_of(self, now: Instant) -> FloatArray:
        """Return the smoothed catalogue of the beginning of the year, (C,)."""
        year = str(now)[:4]
        if year not in self._smoothed:
            self._smoothed[year] = catalogue_density(MapMoment(self.history, Instant.parse(f"{year}-01-01")), self.cells)
        return self._smoothed[year]

    def _counts(self, moment: MapMoment, seed: int) -> NDArray[np.int64]:
        """Return the numbers of simulated branching processes, (H, PATHS)."""
        rng, history = np.random.default_rng(seed), self.history
        excitation, start = np.repeat(moment.excitation[None], PATHS, 0), np.zeros(PATHS)
        magnitudes = late_magnitudes(history, moment.start)
        made = simulate_branching(
            excitation, start, HORIZONS_DAYS[-1], history.background, moment.productivity, magnitudes, MOST_EVENTS_BY_KERNELS, rng
        )
        return np.stack([np.bincount(made.paths[made.days <= days], minlength=PATHS) for days in HORIZONS_DAYS])


def crossed_weights(study: Study, forecasts: Sequence[Forecasts], horizon: int) -> list[FloatArray]:
    """Return the weights for each moment, fitted on the half of the moments (earlier or later) that it is not in."""
    middle = sorted(int(one.moment) for one in forecasts)[len(forecasts) // 2]
    halves = [[one for one in forecasts if (int(one.moment) < middle) == early] for early in (True, False)]
    fitted = [_weights_of(study, half, horizon) for half in halves]
    return [fitted[1] if int(one.moment) < middle else fitted[0] for one in forecasts]


def _weights_of(study: Study, forecasts: Sequence[Forecasts], horizon: int) -> FloatArray:
    densities = list[FloatArray]()
    for one in forecasts:
        cells = study.grid.cells(one.observed[horizon].longitudes, one.observed[horizon].latitudes)
        densities.append(one.densities[:, horizon, cells[cells >= 0]])
    joined = np.concatenate(densities, 1)
    return fit_weights(joined, np.ones(joined.shape[1]))


def line_of(
    study: Study, one: Forecasts, etas: EtasForecasts, horizon: int, number: int, mixtures: dict[str, FloatArray]
) -> dict[str, Any]:
    """Return the tests that each forecast passes at one moment, and its ln density.

    Args:
        mixtures: by name, (C,).
    """
    observed, grid = one.observed[horizon], study.grid
    line: dict[str, Any] = {"moment": str(one.moment), "observed": len(observed)}
    own = (float(one.numbers[horizon]), one.shares[horizon], one.counts[horizon])
    of_etas = (float(etas.counts[number, horizon].mean()), etas.shares[number, horizon], etas.counts[number, horizon])
    for name, density in (*mixtures.items(), ("etas", etas.densities[number, horizon])):
        expected, shares, counts = of_etas if name == "etas" else own
        forecast = csep.forecast_of(grid, expected, density, shares, name)
        line[name] = {
            "expected": expected,
            "place": float(csep.log_densities(grid, density, observed).sum()),
            **csep.tests_of(grid, forecast, observed, counts, number),
        }
    return line


def print_horizon(study: Study, forecasts: Sequence[Forecasts], etas: EtasForecasts, horizon: int) -> None:
    """Print the weights and the table of one horizon."""
    crossed = crossed_weights(study, forecasts, horizon)
    print(f"\n{HORIZONS_DAYS[horizon]:g} days; weights of {PARTS}:", np.unique(crossed, axis=0).round(3).tolist())
    lines = []
    for number, (one, weights) in enumerate(zip(forecasts, crossed, strict=True)):
        fitted, even = weights @ one.densities[:, horizon], one.densities[2, horizon]
        mixtures = {f"even {share:g}": (1.0 - share) * fitted + share * even for share in EVEN_SHARES}
        lines.append(line_of(study, one, etas, horizon, number, mixtures))
    print("\n".join(pass_rate_lines(lines)), flush=True)


def main() -> None:
    """Print the weights and the table of each horizon."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--n", type=int, default=100, help="simulations of ETAS")
    parser.add_argument("--count", type=int, default=118)
    parser.add_argument("--etas", type=Path, help="keeps the forecasts of ETAS: read from there if the file exists, else written to it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    catalogue = Catalogue()
    times = moments(catalogue.dataset.validation, HORIZONS_DAYS[-1], given.count)
    if given.etas and given.etas.exists():
        kept = np.load(given.etas)
        etas = EtasForecasts(kept["densities"], kept["counts"], kept["shares"])
    else:
        etas = catalogue.etas_forecasts(times, given.n)
        if given.etas:
            np.savez(given.etas, **etas._asdict())
    study, forecasts = Study(given.model, catalogue), list[Forecasts]()
    for number, now in enumerate(times):
        forecasts.append(study.forecasts(number, now))
        print(number, now, forecasts[-1].numbers.round(1), [len(one) for one in forecasts[-1].observed], flush=True)
    for horizon in range(len(HORIZONS_DAYS)):
        print_horizon(study, forecasts, etas, horizon)


if __name__ == "__main__":
    main()

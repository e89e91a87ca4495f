"""Numbers of events after large earthquakes that the ETAS of the stream expects, beside those that came, on years after its productivities.

    python -m tests.measurements.etas_counts [--baselines FILE …]

The shape is the file's. μ and K of each region are fitted to the catalogue's years before a date; the mainshocks are those from then on
without an event as large in their region within the 30 days before. The expected number, with aftershocks of aftershocks, is the mean of
the branching process, which is linear in the sums S_k and so has a closed form:

    dS_k/dt = −S_k/τ_k + n w_k/τ_k (μ + Σ S)        dN/dt = μ + Σ S        n = K (E exp(α Δm) + f), magnitudes with b = 1 up to M 9.5

At the end: how much the numbers of the first day differ from the expected ones, the law of `models.baselines.etas.spread`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.linalg import expm  # type: ignore[import-untyped, unused-ignore]
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.special import gammaln  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import nbinom, poisson  # type: ignore[import-untyped, unused-ignore]

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.baselines import BUILT_IN, read_parameters
from models.baselines.omori_mixture import Shape, fit_mixture
from models.baselines.regional_fit import Part, fit_regions, sums_of_parts
from models.baselines.streaming_fit import regional_parts
from models.catalog import PointPattern, Span, earthquakes
from models.numerics import FloatArray
from tests.support.paths import RECORDED

FOLDER = RECORDED / "data" / "catalogs"
CATALOGUES = (
    ("world", "global_m45_*.csv.xz", "2015-07-01", (6.0, 6.5, 7.0, 7.5, 10.0), 5.5),
    ("California", "california_m25_*.csv.xz", "2018-07-01", (5.0, 6.0, 10.0), 4.5),
)
"""Name, files, date, the classes of magnitude, and the smallest mainshock whose first day counts for the spread."""
HORIZONS_DAYS = (1.0, 7.0, 30.0)
QUIET_DAYS = 30.0
LARGEST = 9.5
BETA = math.log(10.0)
DISPERSION = 0.8
"""Shape of the negative binomial whose mean is the expected number."""


class Sequence(NamedTuple):
    """A mainshock, and the numbers within each horizon."""

    time: int
    magnitude: float
    excess: float
    expected: list[float]
    observed: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--baselines", nargs="+", type=Path, default=[BUILT_IN])
    given, spread = parser.parse_args(), list[Sequence]()
    for name, files, start, classes, smallest in CATALOGUES:
        events = earthquakes(item for file in sorted(FOLDER.glob(files)) for item in read_catalog(file) if isinstance(item, Event))
        parts = regional_parts(events, RegionTable.load())
        for file in given.baselines:
            print(f"{name} from {start} on, {file.name}: expected / observed within a day, a week, a month")
            found = list(sequences(parts, shape_of(file), Instant.parse(start), smallest))
            spread += found if file == given.baselines[0] else []
            for low, high in pairwise(classes):
                print(f"    M {low:g} to {high:g}: {line([one for one in found if low <= one.magnitude < high])}")
    print_spread(sorted(spread, key=lambda one: one.time))


def shape_of(file: Path) -> Shape:
    fit = read_parameters(file)
    return Shape(fit.alpha, fit.c_days, fit.p, fit.taper_days, fit.floor)


def sequences(parts: list[Part], shape: Shape, start: Instant, smallest: float) -> Iterator[Sequence]:
    """Yield the sequences after the mainshocks from `start` on, if the catalogue has the longest horizon after them."""
    earlier = [(name, events.before(start), Span(span.start, min(span.end, start))) for name, events, span in parts if span.start < start]
    fit = fit_regions(sums_of_parts(earlier, shape))
    for name, events, span in parts:
        background = fit.backgrounds.get(name, 0.0)
        for row in mainshocks(events, smallest):
            if start <= events.times[row] < int(span.end) - HORIZONS_DAYS[-1] * MILLISECONDS_PER_DAY:
                yield sequence_after(row, events, shape, background, fit.productivities.get(name, fit.productivity))


def mainshocks(events: PointPattern, smallest: float) -> Iterator[int]:
    """Yield the rows of events from a magnitude on that no event at least as large precedes within 30 days."""
    for row in np.flatnonzero(events.magnitudes >= smallest).tolist():
        first = int(np.searchsorted(events.days, events.days[row] - QUIET_DAYS))
        if (events.magnitudes[first:row] < events.magnitudes[row]).all():
            yield row


def sequence_after(row: int, events: PointPattern, shape: Shape, background: float, productivity: float) -> Sequence:
    """Return the expected and observed numbers after one mainshock, from what came before and itself."""
    taus, weights = fit_mixture(shape)
    jumps = productivity * shape.productivities(events.excesses[: row + 1])
    lags = events.days[row] - events.days[: row + 1]
    sums = (jumps[:, None] * np.exp(-lags[:, None] / taus) * weights / taus).sum(0)  # (K,)
    slope, reach = BETA - shape.alpha, LARGEST - events.magnitude_of_completeness
    ratio = productivity * (BETA / slope * -math.expm1(-slope * reach) + shape.floor)
    observed = [int(np.searchsorted(events.days, events.days[row] + days, side="right")) - row - 1 for days in HORIZONS_DAYS]
    own = int(events.times[row]), float(events.magnitudes[row]), float(events.excesses[row])
    return Sequence(*own, expected_numbers(sums, background, ratio, taus, weights), observed)


def expected_numbers(sums: FloatArray, background: float, ratio: float, taus: FloatArray, weights: FloatArray) -> list[float]:
    """Return the mean number of events within each horizon.

    Args:
        sums: (K,) S_k at the beginning.
        background: μ, 1/day.
        ratio: n, mean number of direct aftershocks of an event.
    """
    size, gains = len(taus), ratio * weights / taus
    system = np.zeros((size + 2, size + 2))  # S, N and the constant 1
    system[:size, :size] = gains[:, None] - np.diag(1.0 / taus)
    system[:size, -1], system[size, :size], system[size, -1] = gains * background, 1.0, background
    begin = np.concatenate((sums, [0.0, 1.0]))
    return [float((expm(system * days) @ begin)[size]) for days in HORIZONS_DAYS]


def line(found: list[Sequence]) -> str:
    """Return sums over sequences, and the mean log score of each horizon."""
    if not found:
        return "none"
    expected, observed = np.array([one.expected for one in found]), np.array([one.observed for one in found])
    sums = ", ".join(f"{e:.0f} / {o}" for e, o in zip(expected.sum(0), observed.sum(0), strict=True))
    scores = ", ".join(f"{score:.3f}" for score in log_scores(observed, expected, DISPERSION).mean(0))
    return f"{len(found)} sequences, {sums}; log score {scores}"


def log_scores(counts: FloatArray, means: FloatArray, k: FloatArray | float) -> FloatArray:
    """Return ln P(N = n) of negative binomials with these means and shapes k."""
    scores: FloatArray = (
        gammaln(counts + k) - gammaln(k) - gammaln(counts + 1) + k * np.log(k / (k + means)) + counts * np.log(means / (k + means))
    )
    return scores


def print_spread(found: list[Sequence]) -> None:
    """Print the law of the first day's spread of all sequences, and how the one of the first half holds on the second."""
    half = len(found) // 2
    for name, some in (("all", found), ("first half", found[:half])):
        theta = fit_spread(some)
        print(f"spread of the first day, {name} ({len(some)}): k {theta[2]:.2f}, s {theta[3]:.2f}")
    excesses, means, counts = _first_days(found[half:])
    means, shape = means * np.exp(theta[0] + theta[1] * (excesses - 2.0)), np.exp(theta[2] + theta[3] * (excesses - 2.0))
    law = nbinom(shape, shape / (shape + means))
    for name, one in (("negative binomial", law), ("Poisson", poisson(means))):
        inside = (counts >= one.ppf(0.025)) & (counts <= one.ppf(0.975))
        large = excesses >= 2.5
        print(f"    second half, {name}: log score {one.logpmf(counts).mean():.3f}, "
              f"in the 95 % range {inside.mean():.3f}, Δm ≥ 2.5 ({large.sum()}) {inside[large].mean():.3f}")  # fmt: skip


def fit_spread(found: list[Sequence]) -> FloatArray:
    """Return r, g, k and s of the largest likelihood: mean = expected exp(r + g (Δm − 2)), shape = exp(k + s (Δm − 2))."""
    excesses, means, counts = _first_days(found)
    beyond = excesses - 2.0

    def loss(theta: FloatArray) -> float:
        own = means * np.exp(theta[0] + theta[1] * beyond), np.exp(theta[2] + theta[3] * beyond)
        return -float(log_scores(counts, *own).sum())

    return np.asarray(minimize(loss, np.zeros(4), method="Nelder-Mead", options={"maxiter": 5_000, "maxfev": 5_000}).x)


def _first_days(found: list[Sequence]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the excesses, and the expected and observed numbers of the first day, (N,) each."""
    excesses, means, counts = zip(*((one.excess, one.expected[0], float(one.observed[0])) for one in found), strict=True)
    return np.array(excesses), np.array(means), np.array(counts)


if __name__ == "__main__":
    main()

"""Fit the baselines of the stream: `python -m models.baselines.streaming_fit FEED … --also OLDER … --until 2023-07-01 -o FILE`.

Maximum likelihood of temporal ETAS in the form that runs in the stream, a mixture of exponentials, so its log-likelihood
Σ ln λ(t_i) − ∫ λ dt (Daley & Vere-Jones 2003, eq. 7.2.2) is exact and O(N). The decay (α, c, p, T) is common; each region has its own
μ and K, by expectation–maximisation over which events were triggered (Veen & Schoenberg 2008, J. Am. Stat. Assoc. 103, 614–624), shrunk
towards the values of all regions, as if each region had ten more events like the average one. A year of the feed is too short to fit the
decay, so older catalogues may be used for it too; the regions' own rates are those of the feed, which reports fewer events than catalogues.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.baselines.omori_mixture import Shape, fit_mixture
from models.baselines.streaming import Parameters, Regional, write_parameters
from models.catalog import PointPattern, Span, earthquakes, make_point_pattern, spans_without_gaps
from models.numerics import FloatArray

Part = tuple[str, PointPattern, Span]
"""A region's id, its events, and the span that is fitted."""

SHRINKAGE_EVENTS = 10.0
"""Number of average events of all regions that are added to each region's own for μ and for K."""
FEWEST_EVENTS = 5
STEPS = 60
"""Steps of expectation–maximisation for each choice of the common parameters."""
BOUNDS = ((0.0, 3.0), (math.log(1e-4), math.log(1.0)), (0.6, 1.8), (math.log(5.0), math.log(3000.0)))
"""α, ln c (days), p, ln T (days)."""
START = (1.5, math.log(0.01), 1.1, math.log(300.0))


class _Sums(NamedTuple):
    """Sums for one span of one region with a given decay, for a productivity of 1."""

    region: str
    excitation: FloatArray
    """(N,) the triggered rate just before each event of the span."""
    compensator: float
    """Integral of the triggered rate over the span."""
    days: float


def fit_live_baselines(training: Iterable[Part], data: Iterable[str] = (), *, also: Iterable[Part] = ()) -> Parameters:
    """Fit both baselines to spans of regions; nothing after a span's end is used.

    Args:
        training: region id, its events (those before the span trigger), and the span whose events are fitted. A region may occur again.
        data: lines that describe the training data, stored with the fit.
        also: further spans, used for the common decay only.

    Returns:
        The common decay, and μ, K (events per day, events) of each region in `training`.
    """
    parts = [(region, events.before(span.end), span) for region, events, span in training]
    shape = _fit_shape([*parts, *((region, events.before(span.end), span) for region, events, span in also)])
    counts, days = _counts_and_days(parts)
    total = sum(counts.values())
    taus, weights = fit_mixture(shape)
    fit = _fit_regions(_sums_of_parts(parts, shape))
    common = (total + 1.0) / (sum(days.values()) + 30.0 * len(days) + 1.0)
    regions = {
        region: Regional(
            magnitude_of_completeness=events.magnitude_of_completeness,
            rate_per_day=(counts[region] + 1.0) / (days[region] + 1.0 / common),
            background_per_day=fit.backgrounds[region],
            productivity=fit.productivities[region],
            events=counts[region],
        )
        for region, events, _ in parts
    }
    poisson = sum(n * math.log(regions[region].rate_per_day) - regions[region].rate_per_day * days[region] for region, n in counts.items())
    summary = f"{total} events, mean nats per event (in sample): poisson {poisson / total:.4f}, etas {fit.log_likelihood / total:.4f}"
    return Parameters(*shape, tuple(taus.tolist()), tuple(weights.tolist()), common, fit.share, fit.productivity, regions, (*data, summary))


def _fit_shape(parts: list[Part]) -> Shape:
    """Fit the common decay: L-BFGS over α, ln c, p, ln T, each step with the best μ and K of every region."""
    total = max(sum(_counts_and_days(parts)[0].values()), 1)

    def shape_of(values: FloatArray) -> Shape:
        return Shape(float(values[0]), math.exp(values[1]), float(values[2]), math.exp(values[3]))

    def cost(values: FloatArray) -> float:
        return -_fit_regions(_sums_of_parts(parts, shape_of(values))).log_likelihood / total

    return shape_of(minimize(cost, START, method="L-BFGS-B", bounds=BOUNDS, options={"eps": 1e-4, "maxiter": 60}).x)


def _counts_and_days(parts: list[Part]) -> tuple[dict[str, int], dict[str, float]]:
    """Return the number of events and the days of each region, over all its spans."""
    counts, days = defaultdict[str, int](int), defaultdict[str, float](float)
    for region, events, span in parts:
        rows = events.rows(span)
        counts[region] += rows.stop - rows.start
        days[region] += (span.end - span.start) / MILLISECONDS_PER_DAY
    return dict(counts), dict(days)


class _RegionalFit(NamedTuple):
    """μ and K of each region, and their log-likelihood."""

    backgrounds: dict[str, float]
    productivities: dict[str, float]
    share: float
    """Share of background events, over all regions."""
    productivity: float
    """K, over all regions."""
    log_likelihood: float
    """Σ ln λ − ∫ λ, without the shrinkage."""


def _fit_regions(sums: list[_Sums]) -> _RegionalFit:
    """Fit μ and K of each region to all its spans."""
    by_region = defaultdict[str, list[_Sums]](list)
    for one in sums:
        by_region[one.region].append(one)
    names = sorted(by_region)
    excitations = [np.concatenate([one.excitation for one in by_region[name]]) for name in names]
    compensators = np.array([sum(one.compensator for one in by_region[name]) for name in names])
    days = np.array([sum(one.days for one in by_region[name]) for name in names])
    offsets = np.cumsum([0, *(len(excitation) for excitation in excitations)])
    whole = np.concatenate(excitations)
    mu, k, share, common = _maximise(whole, offsets, compensators, days, SHRINKAGE_EVENTS, STEPS)
    region_of_event = np.repeat(np.arange(len(names)), np.diff(offsets))
    log_likelihood = np.log(mu[region_of_event] + k[region_of_event] * whole).sum() - (mu * days + k * compensators).sum()
    by_name = dict(zip(names, mu.tolist(), strict=True)), dict(zip(names, k.tolist(), strict=True))
    return _RegionalFit(*by_name, float(share), float(common), float(log_likelihood))


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _maximise(
    excitation: FloatArray, offsets: NDArray[np.int64], compensators: FloatArray, days: FloatArray, shrinkage: float, steps: int
) -> tuple[FloatArray, FloatArray, float, float]:
    """Return μ (R,) and K (R,) by expectation–maximisation, the common share of background events, and the common K."""
    # Expectation: an event is background with probability μ/(μ + K e), e its excitation. Maximisation: μ is the number of background
    # events per day, K that of triggered events per unit of the compensator, each with `shrinkage` average events added.
    regions = len(days)
    counts = (offsets[1:] - offsets[:-1]).astype(np.float64)
    rates = (counts + 0.5) / days
    share, common = 0.5, 0.5 * counts.sum() / compensators.sum()
    mu, k = rates * share, np.full(regions, common)
    for _ in range(steps):
        background = np.zeros(regions)
        for r in range(regions):
            for i in range(offsets[r], offsets[r + 1]):
                background[r] += mu[r] / (mu[r] + k[r] * excitation[i])
        triggered = counts - background
        share, common = background.sum() / counts.sum(), triggered.sum() / compensators.sum()
        mu = (background + shrinkage * share) / (days + shrinkage / rates)
        k = (triggered + shrinkage * (1.0 - share)) / (compensators + shrinkage * (1.0 - share) / common)
    return mu, k, share, common


def _sums_of_parts(parts: list[Part], shape: Shape) -> list[_Sums]:
    """Return the sums of each part for a given decay."""
    taus, weights = fit_mixture(shape)
    sums: list[_Sums] = []
    for region, events, span in parts:
        rows, first, last = events.rows(span), events.day_of(span.start), events.day_of(span.end)
        jumps = np.exp(shape.alpha * events.excesses)
        excitation, compensator = _excitation(events.days, jumps, taus, weights, first, last)
        sums.append(_Sums(region, excitation[rows], float(compensator), last - first))
    return sums


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _excitation(
    days: FloatArray, jumps: FloatArray, taus: FloatArray, weights: FloatArray, first: float, last: float
) -> tuple[FloatArray, float]:
    """Return Σ_j jump_j g(t_i − t_j) just before each event, (N,), and the integral of that rate from `first` to `last`."""
    # One exponential at a time: its sum decays from event to event, and each event adds its jump after its own rate is taken.
    excitation, compensator = np.zeros(len(days)), 0.0
    for k in range(len(taus)):
        carried = 0.0
        for i in range(len(days)):
            if i:
                carried = (carried + jumps[i - 1] * weights[k] / taus[k]) * math.exp(-(days[i] - days[i - 1]) / taus[k])
            excitation[i] += carried
            begin = max(first - days[i], 0.0)
            compensator += jumps[i] * weights[k] * (math.exp(-begin / taus[k]) - math.exp(-(last - days[i]) / taus[k]))
    return excitation, compensator


def regional_parts(events: Iterable[Event], table: RegionTable) -> list[Part]:
    """Return each region's spans without gaps in one catalogue, where that goes down to the region's magnitude of completeness.

    Args:
        events: sorted earthquakes without duplicates.
    """
    catalogue, region_of = list(events), cache(table.region_of)
    lowest = min((event.magnitude or 0.0 for event in catalogue), default=0.0)
    members = defaultdict[str, list[Event]](list)
    for event in catalogue:
        region = region_of(event.latitude, event.longitude)
        if lowest <= region.magnitude_of_completeness:
            members[region.id].append(event)
    pieces = [Span(*piece) for piece in spans_without_gaps([int(event.time) for event in catalogue])]
    parts = (
        (name, make_point_pattern(members[name], table[name].magnitude_of_completeness, piece), piece)
        for name in sorted(members)
        for piece in pieces
    )
    return [(name, one, piece) for name, one, piece in parts if len(one) >= FEWEST_EVENTS]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the live Poisson and ETAS baselines to one catalogue.")
    parser.add_argument("files", nargs="+", type=Path, help="files of the catalogue")
    also = "files of another catalogue, used for the decay alone"
    parser.add_argument("--also", nargs="+", type=Path, action="append", default=[], help=also)
    parser.add_argument("--until", required=True, type=Instant.parse, help="events from then on are not used")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    data, parts = list[str](), list[list[Part]]()
    for files in (options.files, *options.also):
        read = (item for file in files for item in read_catalog(file) if isinstance(item, Event) and item.time < options.until)
        events = earthquakes(read)
        data.append(f"{', '.join(file.name for file in files)}: {len(events)} earthquakes before {options.until}")
        parts.append(regional_parts(events, RegionTable.load()))
    fitted = fit_live_baselines(parts[0], data, also=[part for more in parts[1:] for part in more])
    write_parameters(fitted, options.output)
    print(*fitted.data, f"alpha {fitted.alpha:.3f}, c {fitted.c_days:.5f} d, p {fitted.p:.3f}, taper {fitted.taper_days:.0f} d", sep="\n")


if __name__ == "__main__":
    main()

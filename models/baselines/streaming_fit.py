"""Fit the baselines of the stream: `python -m models.baselines.streaming_fit FEED … --also OLDER … --until 2023-07-01 -o FILE`.

Maximum likelihood of temporal ETAS in the form that runs in the stream, a mixture of exponentials, so its log-likelihood
Σ ln λ(t_i) − ∫ λ dt (Daley & Vere-Jones 2003, eq. 7.2.2) is exact and O(N). The shape (α, c, p, T, floor) is common; each region
has its own μ and K, by expectation–maximisation over which events were triggered (Veen & Schoenberg 2008, J. Am. Stat. Assoc. 103,
614–624), shrunk towards the values of all regions, as if each region had thirty more events like the average one. A year of the feed is
too short to fit the shape, so older catalogues may be used for it too; the regions' own rates are those of the feed, which reports fewer
events than catalogues. The catalogues' K is kept for simulations. What the likelihood does not determine well is held (`HELD`).
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.baselines.omori_mixture import Shape, fit_mixture
from models.baselines.regional_fit import Part, fit_regions, sums_of_parts
from models.baselines.streaming import Parameters, Regional, write_parameters
from models.catalog import Span, earthquakes, make_point_pattern, spans_without_gaps
from models.numerics import FloatArray

FEWEST_EVENTS = 5
BOUNDS = {
    "alpha": (0.0, 3.0),
    "c_days": (1e-4, 1.0),
    "p": (0.6, 1.8),
    "taper_days": (5.0, 10_000.0),
    "floor": (0.01, 100.0),
}
START = {"alpha": 1.5, "c_days": 0.01, "p": 1.1, "taper_days": 300.0, "floor": 1.0}
LOGARITHMIC = ("c_days", "taper_days", "floor")
"""The parameters that are searched by their logarithms."""
HELD = {"alpha": 2.13, "taper_days": 3_650.0, "floor": 10.0}
"""Parameters that are not fitted. α: the growth of the numbers of aftershocks with magnitude in the first days of M ≥ 6. The floor by the
likelihood of months after those of the fit, the taper so that it cuts no sequence; docs/decisions.md has the figures."""


def fit_live_baselines(
    training: Iterable[Part], data: Iterable[str] = (), *, also: Iterable[Part] = (), held: Mapping[str, float] = HELD
) -> Parameters:
    """Fit both baselines to spans of regions; nothing after a span's end is used.

    Args:
        training: region id, its events (those before the span trigger), and the span whose events are fitted. A region may occur again.
        data: lines that describe the training data, stored with the fit.
        also: further spans, of final catalogues, used for the common shape and the productivities of simulations.
        held: the parameters of the shape that are not fitted, and their values.

    Returns:
        The common shape, and μ, K (events per day, events) of each region in `training`.
    """
    parts, further = ([(region, events.before(span.end), span) for region, events, span in some] for some in (training, also))
    shape = _fit_shape([*parts, *further], held)
    counts, days = _counts_and_days(parts)
    total = sum(counts.values())
    taus, weights = fit_mixture(shape)
    fit = fit_regions(sums_of_parts(parts, shape))
    final = fit_regions(sums_of_parts(further, shape)) if further else None
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
    return Parameters(
        *shape[:4], tuple(taus.tolist()), tuple(weights.tolist()), common, fit.share, fit.productivity, regions, (*data, summary),
        shape.floor, final.productivity if final else None, final.productivities if final else {},
    )  # fmt: skip


def _fit_shape(parts: list[Part], held: Mapping[str, float]) -> Shape:
    """Fit the common shape: L-BFGS over the parameters that are not held, each step with the best μ and K of every region."""
    total = max(sum(_counts_and_days(parts)[0].values()), 1)
    searched = [name for name in BOUNDS if name not in held]

    def shape_of(values: FloatArray) -> Shape:
        return Shape(**held, **{name: _from_search(name, value) for name, value in zip(searched, values.tolist(), strict=True)})

    def cost(values: FloatArray) -> float:
        return -fit_regions(sums_of_parts(parts, shape_of(values))).log_likelihood / total

    start = [_to_search(name, START[name]) for name in searched]
    bounds = [tuple(_to_search(name, bound) for bound in BOUNDS[name]) for name in searched]
    return shape_of(minimize(cost, start, method="L-BFGS-B", bounds=bounds, options={"eps": 1e-4, "maxiter": 60}).x)


def _to_search(name: str, value: float) -> float:
    return math.log(value) if name in LOGARITHMIC else value


def _from_search(name: str, value: float) -> float:
    return math.exp(value) if name in LOGARITHMIC else value


def _counts_and_days(parts: list[Part]) -> tuple[dict[str, int], dict[str, float]]:
    """Return the number of events and the days of each region, over all its spans."""
    counts, days = defaultdict[str, int](int), defaultdict[str, float](float)
    for region, events, span in parts:
        rows = events.rows(span)
        counts[region] += rows.stop - rows.start
        days[region] += (span.end - span.start) / MILLISECONDS_PER_DAY
    return dict(counts), dict(days)


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
    also = "files of another catalogue, used for the shape and the productivities of simulations"
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
    decay = f"c {fitted.c_days:.5f} d, p {fitted.p:.3f}, taper {fitted.taper_days:.0f} d"
    print(*fitted.data, f"alpha {fitted.alpha:.3f}, floor {fitted.floor:.2f}, {decay}", sep="\n")


if __name__ == "__main__":
    main()

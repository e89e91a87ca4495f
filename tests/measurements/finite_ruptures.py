"""Do places gain when the largest earthquakes are segments instead of points? The first day's places after all M ≥ 7 of world catalogues.

    python -m tests.measurements.finite_ruptures CATALOGUE…

In the density of the place of the next event, a share α of what the mainshock triggers is spread along a segment: of the length
L = 10^(−2.44 + 0.59 M) km (Wells & Coppersmith 1994, BSSA 84, 974–1002), with the mainshock's own discs, made narrower, at nine places.
Its direction is that of the first aftershocks (the main axis of those so far), before there are three even over twelve directions; or that
of the nearest plate boundary (`--boundaries`, PB2002 as GeoJSON). Its middle is the epicentre, or moves to the aftershocks' median along
it. α is fitted on the mainshocks of even years for those of odd years, and the other way round; intervals by a bootstrap over mainshocks.
The control is a point with wider discs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster
from models.catalog import PointPattern, Span, earthquakes, make_point_pattern, read_events
from models.numerics import FloatArray, IntArray
from models.numerics.geometry import offsets_km, places
from models.place import place_log_prob
from models.simulation.rollout.start import History, history_of
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import TAUS_DAYS

SMALLEST = 7.0
NARROWER = (1.0, 0.5, 0.25)
"""Factors of the discs' widths."""
WIDER = (1.5, 2.0, 3.0)
"""The same of the control, a point."""
POINTS = (np.arange(9) + 0.5) / 9.0 - 0.5
DIRECTIONS = np.pi * np.arange(12) / 12.0
FEWEST = 3
_ALPHAS = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
LONGEST_STRETCH_KM = 2.0
"""An aftershock shapes the segment if it lies within so many of its lengths."""


class Target(NamedTuple):
    """One event of a mainshock's first day."""

    mainshock: int
    year: int
    aftershocks: int
    """Number of aftershocks before it."""
    point_share: float
    """The part of the density that the mainshock triggers as a point."""
    ratios: FloatArray
    """(variants,) the density of the segment over that of the point, at the event."""


def length_km(magnitude: float) -> float:
    """Return L."""
    return float(10.0 ** (-2.44 + 0.59 * magnitude))


def main_axis(offsets: FloatArray) -> float:
    """Return the direction of the largest variance about the origin, radians from east: (n, 2) -> ()."""
    east, north = offsets.T
    return 0.5 * float(np.arctan2(2.0 * (east * north).mean(), (east**2).mean() - (north**2).mean()))


def discs_density(history: History, row: int, shares: FloatArray, offsets: FloatArray, narrower: float) -> FloatArray:
    """Return Σ_m share_m K_m of one event at offsets, (n, 2) km -> (n,), its widths multiplied by `narrower`."""
    kernels, direction = history.kernels, history.directions[row]
    along, across = offsets @ direction, offsets @ np.array([-direction[1], direction[0]])
    density = np.zeros(len(offsets))
    for disc, share in enumerate(shares.tolist()):
        power, stretch = np.exp(kernels.log_powers[disc]), np.exp(kernels.log_stretches[row, disc])
        width = np.exp(kernels.log_widths[row, disc]) * narrower**2
        density += share * power * width**power / np.pi * ((along / stretch) ** 2 + (across * stretch) ** 2 + width) ** -(1.0 + power)
    return density


def segment_density(
    history: History,
    row: int,
    shares: FloatArray,
    offset: FloatArray,
    length: float,
    angles: Sequence[float],
    middle: float,
    narrower: float,
) -> float:
    """Return the density of a segment at one offset, the mean over directions and the places along it."""
    steps = np.concatenate([(middle + length * POINTS)[:, None] * np.array([np.cos(angle), np.sin(angle)]) for angle in angles])
    return float(discs_density(history, row, shares, offset - steps, narrower).mean())


class Boundaries:
    """Plate boundaries as short pieces."""

    def __init__(self, file: Path) -> None:
        lines = [np.array(one["geometry"]["coordinates"]) for one in json.loads(file.read_text())["features"]]
        starts = np.concatenate([line[:-1] for line in lines])
        ends = np.concatenate([line[1:] for line in lines])
        self._starts, self._ends = (places(part[:, 1], part[:, 0]) for part in (starts, ends))

    def direction(self, place: FloatArray) -> float:
        """Return the direction of the nearest piece, radians from east."""
        nearest = int(np.hypot(*offsets_km(place, self._starts).T).argmin())
        east, north = offsets_km(self._starts[nearest], self._ends[nearest])
        return float(np.arctan2(north, east))


VARIANTS = ("aftershocks", "aftershocks, middle moved", "plate boundary, then aftershocks, middle moved", "even over directions")
CONTROL = "a wider point"


def targets_of(
    network: SpaceTimeNetwork, pattern: PointPattern, background: float, boundaries: Boundaries, first_number: int
) -> Iterator[Target]:
    """Yield the events of the first days after a region's mainshocks."""
    history = history_of(network, pattern, background)
    timing = history.timing
    for row in np.flatnonzero(pattern.magnitudes >= SMALLEST).tolist():
        begin = int(pattern.times[row]) + 1
        span = Span(Instant(begin), Instant(begin + MILLISECONDS_PER_DAY))
        rows = pattern.rows(span)
        if rows.stop == rows.start:
            continue
        logs = place_log_prob(require_place(network), pattern, span, timing.event_features, timing.event_weights, background)
        denominators = _denominators(history, rows)
        for target, log_density in zip(range(rows.start, rows.stop), logs.tolist(), strict=True):
            yield _target(history, row, target, log_density, denominators[target - rows.start], boundaries, first_number + row)


@torch.no_grad()
def _denominators(history: History, rows: slice) -> FloatArray:
    """Return the whole rate of the place network just before some events, (n,) 1/day."""
    pattern, place = history.pattern, require_place(history.network)
    rates = []
    for target in range(rows.start, rows.stop):
        lags = (pattern.days[target] - pattern.days[:target])[:, None]
        decays = np.exp(-lags / TAUS_DAYS) / TAUS_DAYS
        triggered = float((np.exp(history.kernels.log_weights[:target]) * decays[:, None]).sum())
        excitation = (history.timing.event_weights[:target] * decays).sum(0)
        rates.append(triggered + float(place.background(torch.from_numpy(excitation)[None], history.background)[0]))
    return np.array(rates)


def _target(history: History, row: int, target: int, log_density: float, denominator: float, boundaries: Boundaries, number: int) -> Target:
    pattern = history.pattern
    decays = np.exp(-(pattern.days[target] - pattern.days[row]) / TAUS_DAYS) / TAUS_DAYS
    shares = (np.exp(history.kernels.log_weights[row]) * decays).sum(1)  # (M,)
    offset = offsets_km(history.places[row], history.places[target])
    length, point = length_km(float(pattern.magnitudes[row])), float(discs_density(history, row, shares, offset[None], 1.0)[0])
    earlier = offsets_km(history.places[row], history.places[row + 1 : target])
    earlier = earlier[np.hypot(*earlier.T) <= LONGEST_STRETCH_KM * length]
    known = len(earlier) >= FEWEST
    axis = [main_axis(earlier)] if known else []
    boundary = axis or [boundaries.direction(history.places[row])]
    settings = ((axis or DIRECTIONS.tolist(), False), (axis or DIRECTIONS.tolist(), known), (boundary, known), (DIRECTIONS.tolist(), False))
    ratios = []
    for angles, moved in settings:
        middle = 0.0
        if moved:
            middle = float(np.median(earlier @ np.array([np.cos(angles[0]), np.sin(angles[0])]))) * len(earlier) / (len(earlier) + 2.0)
            middle = float(np.clip(middle, -0.5 * length, 0.5 * length))
        ratios += [segment_density(history, row, shares, offset, length, angles, middle, narrower) / point for narrower in NARROWER]
    ratios += [discs_density(history, row, shares, offset[None], wider)[0] / point for wider in WIDER]
    year = int(str(Instant(int(pattern.times[row])))[:4])
    return Target(number, year, len(earlier), min(point / denominator / np.exp(log_density), 1.0), np.array(ratios))


def gains(targets: Sequence[Target], variant: int) -> tuple[FloatArray, list[float]]:
    """Return each target's gain in ln density, α chosen on the other years, and the two α: (n,)."""
    shares, ratios = np.array([one.point_share for one in targets]), np.array([one.ratios[variant] for one in targets])
    by_alpha = np.log1p(_ALPHAS[:, None] * shares * (ratios - 1.0))  # (A, n)
    odd = np.array([one.year % 2 == 1 for one in targets])
    chosen = [int(by_alpha[:, odd == half].sum(1).argmax()) for half in (False, True)]
    return np.where(odd, by_alpha[chosen[0]], by_alpha[chosen[1]]), [float(_ALPHAS[index]) for index in chosen]


def bootstrap(values: FloatArray, mainshocks: IntArray) -> tuple[float, float]:
    """Return the 95 % interval of the mean over events, mainshocks drawn with replacement."""
    numbers = np.unique(mainshocks, return_inverse=True)[1]
    sums, counts = np.bincount(numbers, values), np.bincount(numbers)
    rows = np.random.default_rng(0).integers(len(sums), size=(2_000, len(sums)))
    low, high = np.quantile(sums[rows].sum(1) / counts[rows].sum(1), (0.025, 0.975)).tolist()
    return low, high


def main() -> None:
    """Print a line for each way to lay the segment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", nargs="+", type=Path)
    parser.add_argument("--boundaries", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    (network, _), table, boundaries = read_forecaster(), RegionTable.load(), Boundaries(given.boundaries)
    network.eval()
    by_region: dict[str, list[object]] = {}
    events = earthquakes(read_events(given.catalogues))
    span = Span(min(event.time for event in events), max(event.time for event in events))
    for event in events:
        region = table.region_of(event.latitude, event.longitude)
        if region.magnitude_of_completeness >= 4.5:
            by_region.setdefault(region.id, []).append(event)
    targets: list[Target] = []
    for number, (name, listed) in enumerate(sorted(by_region.items())):
        pattern = make_point_pattern(listed, table[name].magnitude_of_completeness, span)  # type: ignore[arg-type]
        if (pattern.magnitudes >= SMALLEST).any():
            targets += targets_of(network, pattern, network.timing.background_of(name), boundaries, 1_000_000 * number)
            print(name, len(pattern), len(targets), flush=True)
    _print_table(targets)


def _print_table(targets: Sequence[Target]) -> None:
    mainshocks = np.array([one.mainshock for one in targets])
    before = np.array([one.aftershocks < FEWEST for one in targets])
    share = np.mean([one.point_share for one in targets])
    print(f"{len(targets)} events of {len(np.unique(mainshocks))} mainshocks; the mainshock's part of the density at them: {share:.3f}")
    columns = [(name, factor) for name in VARIANTS for factor in NARROWER] + [(CONTROL, factor) for factor in WIDER]
    for column, (name, factor) in enumerate(columns):
        found, alphas = gains(targets, column)
        low, high = bootstrap(found, mainshocks)
        first = found[before].mean()
        print(f"{name:50} widths × {factor:4}: {found.mean():+.4f} [{low:+.4f}, {high:+.4f}], first {FEWEST}: {first:+.4f}, α {alphas}")


if __name__ == "__main__":
    main()

"""Places of the simulated events: from which earlier event each descends, and how far from it.

First a disc and a kernel are drawn by their share of the rate, then the event within them. Among the events before the moment it is drawn
from running sums that all paths share (within one kernel the shares no longer change); among a path's own events, from that path's sums.
The offset is drawn from the stretched Pareto disc: P(r² > s) = (d/(s + d))^ρ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from models.numerics import EARTH_RADIUS_KM, FloatArray, IntArray, offsets_km
from models.place import NeighbourGeometry
from models.simulation.rollout.networks import RolloutNetwork
from models.simulation.rollout.start import Start
from models.timing import KERNELS, TAUS_DAYS

FARTHEST_KM = 2_000.0
_TRIES = 12
_SMALLEST = 1e-12


class Discs(NamedTuple):
    """The discs from which P new events are drawn."""

    places: FloatArray
    """(P, 3)"""
    directions: FloatArray
    """(P, 2)"""
    widths_km2: FloatArray
    stretches: FloatArray
    powers: FloatArray
    depths_km: FloatArray
    roots: IntArray
    """The event before the moment from which each descends; −1: none."""

    def of(self, rows: IntArray) -> Discs:
        widths, stretches = self.widths_km2[rows], self.stretches[rows]
        return Discs(
            self.places[rows], self.directions[rows], widths, stretches, self.powers[rows], self.depths_km[rows], self.roots[rows]
        )  # fmt: skip


class OwnEvents:
    """The own events of P paths, step by step: arrays of (steps, P, …) that grow by doubling."""

    def __init__(self, paths: int, discs: int, steps: int = 8) -> None:
        self.count = 0
        self._parts: dict[str, NDArray[Any]] = {
            "days": np.empty((steps, paths)),
            "positions": np.empty((steps, paths, 3)),
            "excesses": np.empty((steps, paths)),
            "places": np.empty((steps, paths, 3)),
            "directions": np.empty((steps, paths, 2)),
            "rates": np.empty((steps, paths, discs * KERNELS), np.float32),
            "widths": np.empty((steps, paths, discs + 1), np.float32),
            "stretches": np.empty((steps, paths, discs + 1), np.float32),
            "background_weights": np.empty((steps, paths)),
            "depths": np.empty((steps, paths)),
            "roots": np.empty((steps, paths), np.int64),
        }

    def __getitem__(self, name: str) -> FloatArray:
        """Return one column, (steps so far, P, …), a view."""
        part: FloatArray = self._parts[name][: self.count]
        return part

    def append(self, **values: NDArray[Any]) -> None:
        """Append one event of each path."""
        if self.count == len(self._parts["days"]):
            self._parts = {name: np.concatenate((part, np.empty_like(part))) for name, part in self._parts.items()}
        for name, value in values.items():
            self._parts[name][self.count] = value
        self.count += 1

    def keep(self, rows: IntArray) -> None:
        """Keep these paths only."""
        self._parts = {name: part[:, rows] for name, part in self._parts.items()}


def sample_parents(
    start: Start, own: OwnEvents, network: RolloutNetwork, sums: FloatArray, excitation: FloatArray, rate: float, now: FloatArray,
    region: shapely.Polygon | None, rng: np.random.Generator,
) -> Discs:  # fmt: skip
    """Draw the discs to which the next events belong.

    Args:
        sums: (P, M · 12) rates of the discs of the paths' own events at `now`, 1/day.
        excitation: (P, 12) of the timing network at `now`.
        rate: its μ, events per day.
        now: (P,) days since the moment.
        region: where the uniform part of the background may fall; None: the background lies around past events only.
    """
    paths, columns = sums.shape
    taus = np.tile(TAUS_DAYS, columns // KERNELS)
    before = start.sums * np.exp(-now[:, None] / taus)  # (P, columns)
    background = network.background(excitation, rate) * (1.0 if start.factors is None else start.factors.background)  # (P,)
    bounds = np.cumsum(np.column_stack((before, sums, background)), 1)  # (P, 2 columns + 1)
    drawn = rng.random(paths) * bounds[:, -1]
    choice = np.minimum((bounds <= drawn[:, None]).sum(1), 2 * columns)
    share: FloatArray = np.asarray(rng.random(paths))
    parent: IntArray = np.full(paths, -1, np.int64)  # a row of the events before the moment; own events after them
    disc = np.where(choice < 2 * columns, (choice % columns) // KERNELS, len(start.powers) - 1)
    for column in np.unique(choice[choice < columns]).tolist():
        rows = np.flatnonzero(choice == column)
        parent[rows] = _rows_at(start.cumulative[:, column], share[rows])
    rows = np.flatnonzero((choice >= columns) & (choice < 2 * columns))
    if len(rows):
        parent[rows] = len(start.days) + _own_rows_at(own, rows, choice[rows] - columns, taus, now[rows], share[rows])
    rows = np.flatnonzero(choice == 2 * columns)
    parent[rows] = _background_parents(start, own, rows, share[rows], rng.random(len(rows)) < network.uniform_share, region is not None)
    return _discs(start, own, parent, disc, region, rng)


def _rows_at(cumulative: FloatArray, share: FloatArray) -> IntArray:
    """Return the rows at which running sums (H,) reach shares (R,) of the total."""
    return np.asarray(np.minimum(np.searchsorted(cumulative, share * cumulative[-1], side="right"), len(cumulative) - 1))


def _own_rows_at(own: OwnEvents, rows: IntArray, columns: IntArray, taus: FloatArray, now: FloatArray, share: FloatArray) -> IntArray:
    """Return the steps of own events at which the sums of some kernels over each path reach shares (R,) of the total."""
    fading = np.exp((own["days"][:, rows] - now) / taus[columns])  # (steps, R)
    cumulative = np.cumsum(own["rates"][:, rows, columns] * fading, 0)
    return np.asarray(np.minimum((cumulative <= share * cumulative[-1]).sum(0), own.count - 1))


def _background_parents(
    start: Start, own: OwnEvents, rows: IntArray, share: FloatArray, uniform: NDArray[np.bool_], region: bool
) -> IntArray:
    """Draw the events around which background events fall, (R,) rows; −1: anywhere in the region."""
    before = float(start.background_weights[-1]) if len(start.background_weights) else 0.0
    cumulative = before + np.cumsum(own["background_weights"][:, rows], 0)  # (steps, R)
    whole = cumulative[-1] if own.count else np.full(len(rows), before)
    value = share * whole
    row = np.searchsorted(start.background_weights, value, side="right")
    row = np.where(row < len(start.background_weights), row, len(start.background_weights) + (cumulative <= value).sum(0))
    row = np.minimum(row, len(start.background_weights) + own.count - 1)
    return np.where((uniform & region) | (whole <= 0.0), -1, row)


def _discs(
    start: Start, own: OwnEvents, parent: IntArray, disc: IntArray, region: shapely.Polygon | None, rng: np.random.Generator
) -> Discs:
    """Return the discs of drawn parents.

    Args:
        parent: (P,) rows of the events before the moment, then of each path's own events; −1: anywhere in the region.
        disc: (P,) which of the parent's discs.
    """
    paths, before = len(parent), len(start.days)
    widths, stretches, powers, depths = (np.zeros(paths) for _ in range(4))
    roots = np.where(parent < before, parent, -1)
    discs = Discs(np.zeros((paths, 3)), np.zeros((paths, 2)), widths, stretches, powers, depths, roots)
    shared, late = np.flatnonzero((parent >= 0) & (parent < before)), np.flatnonzero(parent >= before)
    _fill(discs, shared, _shared_columns(start, parent[shared], disc[shared]))
    _fill(discs, late, _own_columns(own, parent[late] - before, late, disc[late]))
    roots[late] = own["roots"][parent[late] - before, late]
    for rows in (shared, late):
        powers[rows] = start.powers[disc[rows]]
    anywhere = np.flatnonzero(parent < 0)
    discs.places[anywhere] = _sample_region(region, len(anywhere), rng)
    powers[anywhere], stretches[anywhere], widths[anywhere] = 1.0, 1.0, 0.0
    discs.directions[anywhere, 0], depths[anywhere] = 1.0, np.nan
    return discs


def _shared_columns(start: Start, rows: IntArray, disc: IntArray) -> tuple[FloatArray, ...]:
    """Return place, direction, width, stretch and depth of events before the moment, (R, …) each."""
    return start.places[rows], start.directions[rows], start.widths_km2[rows, disc], start.stretches[rows, disc], start.depths_km[rows]


def _own_columns(own: OwnEvents, steps: IntArray, paths: IntArray, disc: IntArray) -> tuple[FloatArray, ...]:
    """Return the same of the paths' own events."""
    widths, stretches = own["widths"][steps, paths, disc], own["stretches"][steps, paths, disc]
    return own["places"][steps, paths], own["directions"][steps, paths], widths, stretches, own["depths"][steps, paths]


def _fill(discs: Discs, rows: IntArray, columns: tuple[FloatArray, ...]) -> None:
    parts = (discs.places, discs.directions, discs.widths_km2, discs.stretches, discs.depths_km)
    for part, column in zip(parts, columns, strict=True):
        part[rows] = column


def _sample_region(region: shapely.Polygon | None, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw places uniform in a region, (n, 3); without a region (and without any event) they lie at latitude and longitude 0."""
    sampled = np.empty((0, 2))
    west, south, east, north = (0.0, 0.0, 0.0, 0.0) if region is None else region.bounds
    while len(sampled) < count:
        latitudes = np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(south)), np.sin(np.radians(north)), 4 * count)))
        longitudes = rng.uniform(west, east, 4 * count)
        inside = np.ones(len(latitudes), np.bool_) if region is None else shapely.intersects_xy(region, longitudes, latitudes)
        sampled = np.concatenate((sampled, np.radians(np.column_stack((latitudes, longitudes))[inside])))
    return np.column_stack((sampled[:count], np.cos(sampled[:count, 0])))


def sample_places(discs: Discs, region: shapely.Polygon | None, rng: np.random.Generator) -> FloatArray:
    """Draw a place from each disc, (P, 3); one outside the region is drawn again, since it would be no event of the region."""
    places, wrong = discs.places.copy(), np.arange(len(discs.places))
    for _ in range(_TRIES):
        places[wrong] = _sample_offsets(discs.of(wrong), rng)
        latitudes, longitudes = np.degrees(places[wrong, :2]).T
        near = np.hypot(*offsets_km(discs.places[wrong], places[wrong]).T) <= FARTHEST_KM
        outside = ~near if region is None else ~(near & shapely.intersects_xy(region, longitudes, latitudes))
        wrong = wrong[outside]
        if not len(wrong):
            break
    places[wrong] = discs.places[wrong]
    return places


def _sample_offsets(discs: Discs, rng: np.random.Generator) -> FloatArray:
    """Draw a place at a random offset from each disc's centre, (P, 3).

    r² = d (u^(−1/ρ) − 1), u uniform in (0, 1], solves P(r² > s) = (d/(s + d))^ρ; the offset is stretched along the disc's direction.
    """
    count = len(discs.places)
    radius = np.sqrt(discs.widths_km2 * np.expm1(-np.log(np.maximum(rng.random(count), _SMALLEST)) / discs.powers))
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    along, across = discs.stretches * radius * np.cos(angle), radius * np.sin(angle) / discs.stretches
    east = along * discs.directions[:, 0] - across * discs.directions[:, 1]
    north = along * discs.directions[:, 1] + across * discs.directions[:, 0]
    limit = 0.5 * np.pi - 1e-3
    latitude = np.clip(discs.places[:, 0] + np.clip(north / EARTH_RADIUS_KM, -np.pi, np.pi), -limit, limit)
    middle = np.cos(0.5 * (latitude + discs.places[:, 0]))
    longitude = np.remainder(discs.places[:, 1] + east / (EARTH_RADIUS_KM * middle) + np.pi, 2.0 * np.pi) - np.pi
    return np.column_stack((latitude, longitude, np.cos(latitude)))


def new_kernels(
    network: RolloutNetwork, around: NeighbourGeometry, places: FloatArray, features: FloatArray, excesses: FloatArray, weights: FloatArray
) -> dict[str, FloatArray]:
    """Return the kernels of the new events, as columns of `OwnEvents`.

    Args:
        around: the geometry of all earlier events around the new ones.
        places: (P, 3) of the new events; `features`: (P, F) and `weights`: (P, 12) of the times.
    """
    inputs = np.concatenate((features, around.features), axis=1)
    kernels = network.kernels(inputs, excesses, around.spacing, weights)
    return {
        "places": places, "directions": around.directions, "rates": kernels.rates, "widths": kernels.widths_km2,
        "stretches": kernels.stretches, "background_weights": kernels.background_weights,
    }  # fmt: skip

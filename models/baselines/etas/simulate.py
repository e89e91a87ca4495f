"""Catalogues simulated by ETAS: background events, their aftershocks, the aftershocks' aftershocks, generation by generation.

A branching process has the distribution of the conditional rate (Hawkes & Oakes 1974, J. Appl. Probab. 11, 493–503): each event has a
Poisson number of direct aftershocks with mean κ (G(end − t) − G(start − t)), independent of all else; their lags have density g/G, their
squared distances P(r² > s) = (D/(s + D))^ρ in a random direction, their magnitudes are Gutenberg–Richter's. With `spread` the mean of a
large event is multiplied by a random factor of mean 1 (`spread`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines.etas.model import EtasParameters
from models.baselines.etas.spread import draw_factors
from models.baselines.gutenberg_richter import GutenbergRichter
from models.catalog import LARGEST_MAGNITUDE, PointPattern, Span, area_km2, round_to_step
from models.numerics import EARTH_RADIUS_KM, FloatArray

MOST_EVENTS = 2_000_000
LEAST_MEAN = 1e-9
"""Expected direct aftershocks below which an event of the past is left out."""
_GRID = 4_000
_SMALLEST_LAG = 1e-4
"""The smallest lag of the grid, in c."""
_NEW_DAYS = 1.0 / 24.0
"""Age of the events of the past whose factors are drawn; those of older ones show in the aftershocks that they have."""


class PreparedHistory(NamedTuple):
    """The events of a history that still trigger, prepared once for many simulations: each alone would spend most of its time on this."""

    begin: Instant
    """Where the history's observation ends and the simulations begin."""
    parents: _Parents


class _Generation(NamedTuple):
    """N events."""

    days: FloatArray
    """(N,) days since the simulation's start; negative in the history."""
    places: FloatArray
    """(N, 2) latitude and longitude, degrees."""
    magnitudes: FloatArray


class _Parents(NamedTuple):
    """N events that trigger, and the expected numbers of their direct aftershocks."""

    events: _Generation
    integrals_at_start: FloatArray
    """(N,) G at the simulation's start, 0 for what comes later."""
    integrals_at_end: FloatArray
    """(N,) G at its end."""
    means: FloatArray
    """(N,) the expected number of direct aftershocks between them, κ (G(end − t) − G(start − t))."""


def prepare_history(parameters: EtasParameters, history: PointPattern, days: float) -> PreparedHistory:
    """Prepare a history for simulations that begin where its observation ends.

    Args:
        history: the events so far; those that will hardly trigger any more are left out.
        days: the length of the simulations.
    """
    begin = history.observed.end
    places = np.column_stack((history.latitudes, history.longitudes))
    parents = _expected_aftershocks(_Generation(history.days - history.day_of(begin), places, history.magnitudes), parameters, days)
    active = parents.means > LEAST_MEAN
    events = _Generation(*(column[active] for column in parents.events))
    return PreparedHistory(begin, _Parents(events, *(column[active] for column in parents[1:])))


def simulate_etas(
    parameters: EtasParameters,
    magnitudes: GutenbergRichter,
    polygon: shapely.Polygon,
    days: float,
    seed: int,
    history: PointPattern | PreparedHistory | None = None,
    start: Instant | None = None,
    most_events: int = MOST_EVENTS,
    *,
    spread: bool = False,
) -> PointPattern:
    """Simulate the events of a region over so many days; background events are uniform in it.

    Args:
        magnitudes: the law of magnitudes, and the step to which they are rounded.
        polygon: corners in (longitude, latitude), degrees.
        seed: the same seed gives the same events.
        history: earlier events, which go on triggering; the simulation begins where their observation ends. For many simulations from one
            history over the same days, call `prepare_history` once.
        start: where the simulation begins without a history; None: 1970.
        most_events: the number of events at which it stops with an error.
        spread: the productivity of large events is drawn (`models.baselines.etas.spread`).

    Returns:
        The simulated events inside the polygon. Aftershocks outside trigger others too, but are left out.

    Raises:
        Problem: more than `most_events` events, because each triggers more than one other.
    """
    rng = np.random.default_rng(seed)
    past = prepare_history(parameters, history, days) if isinstance(history, PointPattern) else history
    begin = (start or Instant(0)) if past is None else past.begin
    generations = [_draw_background(parameters, magnitudes, polygon, days, rng)]
    if past is not None:
        parents = _spread_out(past.parents, parameters, rng) if spread else past.parents
        generations.append(_draw_aftershocks(parents, parameters, magnitudes, days, rng))
    newest = _join(generations)
    while len(newest.days):
        parents = _expected_aftershocks(newest, parameters, days)
        parents = _spread_out(parents, parameters, rng) if spread else parents
        newest = _draw_aftershocks(parents, parameters, magnitudes, days, rng)
        generations.append(newest)
        if sum(len(one.days) for one in generations) > most_events:
            raise Problem(
                f"the simulation has more than {most_events:,} events", "take fewer days, or parameters with a smaller branching ratio"
            )
    return _pattern(_join(generations), parameters.magnitude_of_completeness, begin, days, polygon)


def _draw_background(
    parameters: EtasParameters, magnitudes: GutenbergRichter, polygon: shapely.Polygon, days: float, rng: np.random.Generator
) -> _Generation:
    """Draw the background events, uniform in space and time."""
    count = int(rng.poisson(10.0**parameters.log10_mu * area_km2(polygon) * days))
    places = np.empty((0, 2))
    west, south, east, north = polygon.bounds
    low, high = math.sin(math.radians(south)), math.sin(math.radians(north))
    while len(places) < count:
        latitudes, longitudes = np.degrees(np.arcsin(rng.uniform(low, high, count))), rng.uniform(west, east, count)
        inside = shapely.intersects_xy(polygon, longitudes, latitudes)
        places = np.concatenate((places, np.column_stack((latitudes, longitudes))[inside]))
    return _Generation(rng.uniform(0.0, days, count), places[:count], _draw_magnitudes(parameters, magnitudes, count, rng))


def _expected_aftershocks(events: _Generation, parameters: EtasParameters, days: float) -> _Parents:
    """Return the expected number of direct aftershocks of each event within the simulated days."""
    omori = parameters.omori
    at_start, at_end = omori.integral(np.maximum(-events.days, 0.0)), omori.integral(np.maximum(days - events.days, 0.0))
    means = parameters.jumps(parameters.excesses(events.magnitudes)) * np.maximum(at_end - at_start, 0.0)
    return _Parents(events, at_start, at_end, means)


def _spread_out(parents: _Parents, parameters: EtasParameters, rng: np.random.Generator) -> _Parents:
    """Multiply the expected numbers of large events by factors that are drawn."""
    new = np.flatnonzero(parents.events.days >= -_NEW_DAYS)
    means = parents.means.copy()
    means[new] *= draw_factors(parameters.excesses(parents.events.magnitudes[new]), rng)
    return parents._replace(means=means)


def _draw_aftershocks(
    parents: _Parents, parameters: EtasParameters, magnitudes: GutenbergRichter, days: float, rng: np.random.Generator
) -> _Generation:
    """Draw the direct aftershocks within the simulated days.

    A lag is the inverse of G, interpolated, at a uniform point between G at the simulation's start and at its end.
    """
    events, omori, numbers = parents.events, parameters.omori, rng.poisson(parents.means)
    parent = np.repeat(np.arange(len(numbers)), numbers)
    if not len(parent):
        return _Generation(np.empty(0), np.empty((0, 2)), np.empty(0))
    longest = float((days - events.days[parent]).max(initial=1.0))
    lags = np.concatenate(([0.0], np.geomspace(omori.c * _SMALLEST_LAG, longest, _GRID)))
    integral = rng.uniform(parents.integrals_at_start[parent], parents.integrals_at_end[parent])
    after = np.interp(integral, omori.integral(lags), lags)
    scales = parameters.scales_km2(parameters.excesses(events.magnitudes))[parent]
    squares = scales * (rng.random(len(parent)) ** (-1.0 / parameters.rho) - 1.0)
    places = _displace(events.places[parent], np.sqrt(squares), rng.uniform(0.0, 2.0 * math.pi, len(parent)))
    return _Generation(events.days[parent] + after, places, _draw_magnitudes(parameters, magnitudes, len(parent), rng))


def _draw_magnitudes(parameters: EtasParameters, law: GutenbergRichter, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw N magnitudes, (N,), rounded to the law's step, none below completeness."""
    step = law.step
    drawn = parameters.magnitude_of_completeness - step / 2.0 + rng.exponential(1.0 / law.beta, count)
    magnitudes: FloatArray = np.clip(np.round(round_to_step(drawn, step), 6), parameters.magnitude_of_completeness, LARGEST_MAGNITUDE)
    return magnitudes


def _displace(places: FloatArray, distances_km: FloatArray, azimuths: FloatArray) -> FloatArray:
    """Return the places at distances (N,) km and azimuths (N,) radians from places (N, 2) along great circles, (N, 2) degrees.

    A distance is at most half of the Earth's circumference.
    """
    arc = np.minimum(distances_km / EARTH_RADIUS_KM, math.pi)
    latitude, longitude = np.radians(places).T
    sine = np.sin(latitude) * np.cos(arc) + np.cos(latitude) * np.sin(arc) * np.cos(azimuths)
    east = np.sin(azimuths) * np.sin(arc) * np.cos(latitude)
    turned = longitude + np.arctan2(east, np.cos(arc) - np.sin(latitude) * sine)
    wrapped = (turned + math.pi) % (2.0 * math.pi) - math.pi
    return np.asarray(np.degrees(np.column_stack((np.arcsin(np.clip(sine, -1.0, 1.0)), wrapped))), dtype=np.float64)


def _join(generations: list[_Generation]) -> _Generation:
    return _Generation(*(np.concatenate(columns) for columns in zip(*generations, strict=True)))


def _pattern(events: _Generation, magnitude_of_completeness: float, begin: Instant, days: float, polygon: shapely.Polygon) -> PointPattern:
    """Return the events inside the polygon in the order of time."""
    inside = shapely.intersects_xy(polygon, events.places[:, 1], events.places[:, 0])
    order = np.flatnonzero(inside)[np.argsort(events.days[inside], kind="stable")]
    times = int(begin) + np.floor(events.days[order] * MILLISECONDS_PER_DAY).astype(np.int64)
    end = Instant(int(begin) + round(days * MILLISECONDS_PER_DAY))
    return PointPattern(
        times=np.minimum(times, int(end) - 1),
        latitudes=events.places[order, 0],
        longitudes=events.places[order, 1],
        magnitudes=events.magnitudes[order],
        depths_km=np.full(len(order), np.nan),
        magnitude_of_completeness=magnitude_of_completeness,
        observed=Span(begin, end),
        area_km2=area_km2(polygon),
    )

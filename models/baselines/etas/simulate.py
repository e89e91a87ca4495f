"""Catalogues that ETAS makes up: background events, their aftershocks, the aftershocks' aftershocks, generation by generation.

A branching process has the distribution of the conditional rate (Hawkes & Oakes 1974, J. Appl. Probab. 11, 493–503): each event has a
Poisson number of direct aftershocks with mean κ (G(end − t) − G(start − t)), independent of all else; their lags have density g/G, their
squared distances P(r² > s) = (D/(s + D))^ρ in a random direction, their magnitudes are Gutenberg–Richter's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines.etas.model import EtasParameters
from models.baselines.gutenberg_richter import GutenbergRichter
from models.catalog import LARGEST_MAGNITUDE, PointPattern, Span, area_km2, round_to_step
from models.numerics import EARTH_RADIUS_KM, FloatArray

MOST_EVENTS = 2_000_000
LEAST_MEAN = 1e-9
"""Expected direct aftershocks below which an event of the past is left out."""
_GRID = 4_000
_SMALLEST_LAG = 1e-4
"""Of the grid of lags, in c."""


class Lasting(NamedTuple):
    """What of a past goes on triggering: made once for many simulations, of which it would be nearly all of the work."""

    begin: Instant
    """Where its observation ends."""
    mothers: _Mothers


class _Generation(NamedTuple):
    """N events."""

    days: FloatArray
    """(N,) since the simulation's start; history has negative ones."""
    places: FloatArray
    """(N, 2) latitude and longitude, degrees."""
    magnitudes: FloatArray


class _Mothers(NamedTuple):
    """N events that trigger, and how much."""

    events: _Generation
    begun: FloatArray
    """(N,) G at the simulation's start, 0 for what comes later."""
    ended: FloatArray
    """(N,) G at its end."""
    means: FloatArray
    """(N,) expected direct aftershocks between them."""


def lasting(parameters: EtasParameters, history: PointPattern, days: float) -> Lasting:
    """The past of simulations over so many days from where its observation ends."""
    begin = history.observed.end
    places = np.column_stack((history.latitudes, history.longitudes))
    mothers = _mothers(_Generation(history.days - history.day_of(begin), places, history.magnitudes), parameters, days)
    counted = mothers.means > LEAST_MEAN
    events = _Generation(*(column[counted] for column in mothers.events))
    return Lasting(begin, _Mothers(events, *(column[counted] for column in mothers[1:])))


def simulate_etas(
    parameters: EtasParameters,
    magnitudes: GutenbergRichter,
    polygon: shapely.Polygon,
    days: float,
    seed: int,
    history: PointPattern | Lasting | None = None,
    start: Instant | None = None,
    most_events: int = MOST_EVENTS,
) -> PointPattern:
    """What might happen in a region (background events uniform in it) in so many days.

    Args:
        polygon: corners in (longitude, latitude).
        history: what came before and goes on triggering; the simulation then begins where its observation ends. For many simulations from
            one past and over the same days, make it `lasting` once.
        start: where it begins without one; None: 1970.
        most_events: where it is given up.

    Returns:
        The simulated events inside the polygon; aftershocks outside trigger too, but are not in it.

    Raises:
        Problem: there is no end to it, because events trigger more than one each.
    """
    chance = np.random.default_rng(seed)
    past = lasting(parameters, history, days) if isinstance(history, PointPattern) else history
    begin = (start or Instant(0)) if past is None else past.begin
    generations = [_background(parameters, magnitudes, polygon, days, chance)]
    if past is not None:
        generations.append(_aftershocks(past.mothers, parameters, magnitudes, days, chance))
    parents = _joined(generations)
    while len(parents.days):
        parents = _aftershocks(_mothers(parents, parameters, days), parameters, magnitudes, days, chance)
        generations.append(parents)
        if sum(len(one.days) for one in generations) > most_events:
            raise Problem(
                f"the simulation has more than {most_events:,} events", "take fewer days, or parameters with a smaller branching ratio"
            )
    return _pattern(_joined(generations), parameters.magnitude_of_completeness, begin, days, polygon)


def _background(
    given: EtasParameters, magnitudes: GutenbergRichter, polygon: shapely.Polygon, days: float, chance: np.random.Generator
) -> _Generation:
    count = int(chance.poisson(10.0**given.log10_mu * area_km2(polygon) * days))
    places = np.empty((0, 2))
    west, south, east, north = polygon.bounds
    low, high = math.sin(math.radians(south)), math.sin(math.radians(north))
    while len(places) < count:
        latitudes, longitudes = np.degrees(np.arcsin(chance.uniform(low, high, count))), chance.uniform(west, east, count)
        inside = shapely.intersects_xy(polygon, longitudes, latitudes)
        places = np.concatenate((places, np.column_stack((latitudes, longitudes))[inside]))
    return _Generation(chance.uniform(0.0, days, count), places[:count], _drawn_magnitudes(given, magnitudes, count, chance))


def _mothers(events: _Generation, given: EtasParameters, days: float) -> _Mothers:
    omori = given.omori
    begun, ended = omori.integral(np.maximum(-events.days, 0.0)), omori.integral(np.maximum(days - events.days, 0.0))
    means = given.jumps(given.excesses(events.magnitudes)) * np.maximum(ended - begun, 0.0)
    return _Mothers(events, begun, ended, means)


def _aftershocks(
    mothers: _Mothers, given: EtasParameters, magnitudes: GutenbergRichter, days: float, chance: np.random.Generator
) -> _Generation:
    """The direct aftershocks within the simulated days."""
    events, omori, numbers = mothers.events, given.omori, chance.poisson(mothers.means)
    mother = np.repeat(np.arange(len(numbers)), numbers)
    if not len(mother):
        return _Generation(np.empty(0), np.empty((0, 2)), np.empty(0))
    longest = float((days - events.days[mother]).max(initial=1.0))
    lags = np.concatenate(([0.0], np.geomspace(omori.c * _SMALLEST_LAG, longest, _GRID)))
    share = chance.uniform(mothers.begun[mother], mothers.ended[mother])
    after = np.interp(share, omori.integral(lags), lags)
    scales = given.scales_km2(given.excesses(events.magnitudes))[mother]
    squares = scales * (chance.random(len(mother)) ** (-1.0 / given.rho) - 1.0)
    places = _displaced(events.places[mother], np.sqrt(squares), chance.uniform(0.0, 2.0 * math.pi, len(mother)))
    return _Generation(events.days[mother] + after, places, _drawn_magnitudes(given, magnitudes, len(mother), chance))


def _drawn_magnitudes(given: EtasParameters, law: GutenbergRichter, count: int, chance: np.random.Generator) -> FloatArray:
    """(N,) rounded as the law's are, none below completeness."""
    step = law.step
    drawn = given.magnitude_of_completeness - step / 2.0 + chance.exponential(1.0 / law.beta, count)
    magnitudes: FloatArray = np.clip(np.round(round_to_step(drawn, step), 6), given.magnitude_of_completeness, LARGEST_MAGNITUDE)
    return magnitudes


def _displaced(places: FloatArray, distances_km: FloatArray, azimuths: FloatArray) -> FloatArray:
    """(N, 2) places that far away along great circles, at most half around the Earth."""
    arc = np.minimum(distances_km / EARTH_RADIUS_KM, math.pi)
    latitude, longitude = np.radians(places).T
    sine = np.sin(latitude) * np.cos(arc) + np.cos(latitude) * np.sin(arc) * np.cos(azimuths)
    east = np.sin(azimuths) * np.sin(arc) * np.cos(latitude)
    turned = longitude + np.arctan2(east, np.cos(arc) - np.sin(latitude) * sine)
    wrapped = (turned + math.pi) % (2.0 * math.pi) - math.pi
    return np.asarray(np.degrees(np.column_stack((np.arcsin(np.clip(sine, -1.0, 1.0)), wrapped))), dtype=np.float64)


def _joined(generations: list[_Generation]) -> _Generation:
    return _Generation(*(np.concatenate(columns) for columns in zip(*generations, strict=True)))


def _pattern(events: _Generation, magnitude_of_completeness: float, begin: Instant, days: float, polygon: shapely.Polygon) -> PointPattern:
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

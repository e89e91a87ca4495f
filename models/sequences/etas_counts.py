"""Forecasts of a sequence by ETAS, fitted to the training span and simulated generation by generation.

The law is that of `quakecast simulate --with etas` with a catalogue: productivity grows as the numbers of sequences do, no sequence is cut
short (`SEQUENCES`), and the productivity of large events is drawn (`models.baselines.etas.spread`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import shapely

from ingest.problem import Problem
from ingest.region import polygon_of
from models.baselines import SEQUENCES, Etas, EtasParameters, GutenbergRichter, fit_etas, fit_times, prepare_history, simulate_etas
from models.catalog import PointPattern, Span
from models.numerics import EARTH_RADIUS_KM, places, positions_km
from models.sequences.counts import CountDistribution
from models.sequences.earthquakes import ROUNDING, Earthquakes
from models.sequences.moments import WINDOWS_DAYS, Moment, pattern_of
from models.sequences.simulated import counts_of, seed_of

MOST_EVENTS = 50_000
"""Of one simulation; one with more is drawn again."""
HISTORY_DAYS = 3_653.0
"""Events before it no longer trigger."""
HISTORY_ZONES, HISTORY_KM = 3.0, 300.0
"""Events trigger aftershocks in the zone from so many of its radii, and at least from this distance."""
MONTH_DAYS = WINDOWS_DAYS["month"]


class EtasCounts:
    """ETAS.

    Args:
        fits: by magnitude of completeness.
        paths: number of simulations of each moment.
    """

    name = "ETAS"

    def __init__(self, fits: Mapping[float, Etas], paths: int) -> None:
        self.fits, self._paths = fits, paths

    def forecast(self, moment: Moment) -> dict[tuple[str, str], CountDistribution]:
        """Return the distribution for each window and level; none without a fit for the region's completeness.

        Raises:
            Problem: most simulations have no end.
        """
        fit = self.fits.get(moment.mainshock.region.magnitude_of_completeness)
        if fit is None or fit.magnitudes is None:
            return {}
        zone = circle(moment.mainshock.latitude, moment.mainshock.longitude, moment.mainshock.radius_km)
        parameters = _parameters_of_zone(fit, zone)
        simulations = _simulate(parameters, fit.magnitudes, zone, known_around(moment), self._paths, seed_of(moment))
        numbers = np.repeat(np.arange(self._paths), [len(one) for one in simulations])
        days, magnitudes = (np.concatenate([getattr(one, part) for one in simulations]) for part in ("days", "magnitudes"))
        return counts_of(moment, numbers, days, magnitudes, self._paths)


def fit_by_completeness(earthquakes: Earthquakes, training: Span) -> dict[float, Etas]:
    """Fit ETAS to the events of all regions with the same completeness, over the longest part of the training span without a gap."""
    observed = [Span(max(span.start, training.start), min(span.end, training.end)) for span in earthquakes.observed]
    longest = max(observed, key=lambda span: int(span.end) - int(span.start))
    complete = np.array([earthquakes.table[str(region)].magnitude_of_completeness for region in earthquakes.regions])
    fits: dict[float, Etas] = {}
    for level in np.unique(complete[complete >= earthquakes.lowest_magnitude - ROUNDING]).tolist():
        rows = earthquakes.rows_between(int(longest.start), int(longest.end))
        chosen = np.flatnonzero((complete[rows] <= level) & (earthquakes.magnitudes[rows] >= level - ROUNDING)) + rows.start
        if len(chosen) >= 200:
            pattern = pattern_of(earthquakes, chosen, longest, level)
            etas = fit_etas(pattern, longest)
            fits[level] = replace(etas, parameters=fit_times(etas.parameters, pattern, longest, SEQUENCES), time_parameters=None)
    return fits


def known_around(moment: Moment) -> PointPattern:
    """Return the events around the zone that were known by now, the mainshock included."""
    earthquakes, mainshock = moment.earthquakes, moment.mainshock
    complete, now = mainshock.region.magnitude_of_completeness, int(moment.now)
    span = Span(moment.now.plus(days=-HISTORY_DAYS), moment.now)
    within = earthquakes.rows_between(int(span.start), now)
    rows = np.arange(within.start, within.stop)
    known = (earthquakes.known_at[rows] <= now) | (rows == mainshock.row)
    inside = earthquakes.distances_km(mainshock.row, within) <= max(HISTORY_ZONES * mainshock.radius_km, HISTORY_KM)
    return pattern_of(earthquakes, rows[known & inside & (earthquakes.magnitudes[rows] >= complete - ROUNDING)], span, complete)


def circle(latitude: float, longitude: float, radius_km: float, corners: int = 72) -> shapely.Geometry:
    """Return a circle on the sphere as a polygon of (longitude, latitude), degrees, cut at the date line."""
    bearings, arc = np.linspace(0.0, 2.0 * math.pi, corners, endpoint=False), radius_km / EARTH_RADIUS_KM
    phi = math.radians(latitude)
    sine = math.sin(phi) * math.cos(arc) + math.cos(phi) * math.sin(arc) * np.cos(bearings)
    east = np.arctan2(np.sin(bearings) * math.sin(arc) * math.cos(phi), math.cos(arc) - math.sin(phi) * sine)
    return polygon_of(np.column_stack((np.degrees(np.arcsin(sine)), longitude + np.degrees(east))).tolist())


def _parameters_of_zone(fit: Etas, zone: shapely.Geometry) -> EtasParameters:
    """Return the parameters with the background density of the zone, the mean of the map over its corners and its middle."""
    if fit.background is None:
        return fit.parameters
    points = np.concatenate((shapely.get_coordinates(zone), shapely.get_coordinates(shapely.centroid(zone))))
    inner = 0.5 * (points + points[-1])
    longitudes, latitudes = np.concatenate((points, inner)).T
    density = float(fit.background.density(positions_km(places(latitudes, longitudes))).mean())
    return msgspec.structs.replace(fit.parameters, log10_mu=math.log10(fit.parameters.background_per_day * density))


def _simulate(
    parameters: EtasParameters, law: GutenbergRichter, zone: Any, known: PointPattern, paths: int, seed: int
) -> list[PointPattern]:
    """Return so many simulations of a month; one without end is drawn again with another seed."""
    simulations, refused, history = list[PointPattern](), 0, prepare_history(parameters, known, MONTH_DAYS)
    while len(simulations) < paths:
        number = seed * 10_000 + len(simulations) + refused
        try:
            simulations.append(simulate_etas(parameters, law, zone, MONTH_DAYS, number, history, most_events=MOST_EVENTS, spread=True))
        except (Problem, ValueError):  # numpy's Poisson refuses a mean beyond its integers
            refused += 1
            if refused > paths:
                raise Problem("ETAS has no end with these parameters", "fit it on a longer catalogue") from None
    return simulations

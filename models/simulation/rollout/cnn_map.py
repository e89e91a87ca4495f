"""The CNN in simulated paths: its map at the start re-weights where events come, but not how many.

The map stays as it is at the start; simulated events do not change it. The factors depend on an event's age. They are taken for the age at
which its next offspring is expected: its age now, plus the time constant of the kernel or half the horizon, whichever is shorter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ingest.instant import Instant
from models.cnn import Factors, Grid, MapNetwork, cell_factors, freeze_maps, input_channels, states_at
from models.numerics import FloatArray, Trained
from models.simulation.rollout.start import History, Start
from models.timing import KERNELS, TAUS_DAYS


class RegionMaps(NamedTuple):
    """A CNN and the grid of a region's map."""

    network: MapNetwork
    grid: Grid


def factors_at(maps: RegionMaps, history: History, moment: Instant) -> Factors:
    """Return the factors of the CNN's map after all events before a moment."""
    past = history.pattern.before(moment)
    count, day = len(past), history.pattern.day_of(moment)
    arguments = (maps.grid, past, history.timing.event_weights[:count], history.background, np.array([count]))
    _, states = next(states_at(*arguments, moments=np.array([day])))
    return cell_factors(freeze_maps(Trained.of(maps.network)), maps.grid, input_channels(states[0], day, history.background))


def reweight_start(start: Start, factors: Factors, horizon_days: float) -> Start:
    """Return the start of paths of so many days, with rates and background weights multiplied by the map's factors."""
    of_rates, of_background_weights = factors_of_events(factors, start.places, -start.days, horizon_days)
    rates = np.diff(start.cumulative, axis=0, prepend=0.0) * np.tile(of_rates, start.cumulative.shape[1] // KERNELS)
    background_weights = np.diff(start.background_weights, prepend=0.0) * of_background_weights
    return start._replace(
        cumulative=np.cumsum(rates, 0), sums=rates.sum(0), background_weights=np.cumsum(background_weights), factors=factors
    )


def factors_of_events(factors: Factors, places: FloatArray, ages_days: FloatArray, horizon_days: float) -> tuple[FloatArray, FloatArray]:
    """Return the factors of events: (N, 3) places, (N,) ages in days -> (N, 12) of their rates, (N,) of their background weights."""
    expected = ages_days[:, None] + np.minimum(TAUS_DAYS, horizon_days / 2.0)
    return factors.at_events(np.degrees(places[:, 0]), np.degrees(places[:, 1]), expected)

"""The state of the inter-event times of one region, as the live networks keep it.

The state is a vector of fixed size, so an update costs the same however many events came before:

    | count | time, ms | x y z, km | μ | traces of the region (τ, a) | A (12) | scaled inputs of the LSTM | its hidden, cell (members) |
    | large events: A (slots, 12), κ, β, number (slots) | Λ at the time | ring of the last `reach` events, the newest last |

    ring row = | time, ms | x y z, km | excess | w (12) |

The part about large events is only there if their productivity is a distribution; A is then without them. Λ at the time is only there if
the network reads sources. Then the time, A and the large events are as of the last event or source, whichever is later, and Λ is what was
expected from the last event until then; all else is as of the last event.
"""

from __future__ import annotations

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.numerics import FloatArray
from models.timing.excitation import KERNELS, TAUS_DAYS
from models.timing.excitation_features import TRACES
from models.timing.large_events import LargeEvents

COUNT, TIME, POSITION, BACKGROUND, TRACES_PART = 0, 1, slice(2, 5), 5, slice(6, 6 + TRACES)
EXCITATION = slice(TRACES_PART.stop, TRACES_PART.stop + KERNELS)
MEMORY = EXCITATION.stop
RING_TIME, RING_POSITION, RING_EXCESS, RING_WEIGHTS = 0, slice(1, 4), 4, slice(5, 5 + KERNELS)
RING_COLUMNS = RING_WEIGHTS.stop
SLOT_SHAPE, SLOT_RATE, SLOT_NUMBER = KERNELS, KERNELS + 1, KERNELS + 2
"""A slot's event is the one that was the n-th of the region; 0: the slot is empty."""
SLOT_COLUMNS = SLOT_NUMBER + 1


def silence_days(past: FloatArray, now: Instant) -> float:
    """Return the days from the time of a state (size,), its last event or source, to now, not below 0; 0 before the first event."""
    return lag_days(past, int(now)) if past[COUNT] else 0.0


def lag_days(past: FloatArray, time_ms: int) -> float:
    """Return the days from the time of a state to a moment, not below 0."""
    return max(time_ms - float(past[TIME]), 0.0) / MILLISECONDS_PER_DAY


def lags_days(ring: FloatArray, now: Instant) -> FloatArray:
    """Return the days from each event of a ring (n, RING_COLUMNS) to now, (n,), not below 0."""
    lags: FloatArray = np.maximum(int(now) - ring[:, RING_TIME], 0.0) / MILLISECONDS_PER_DAY
    return lags


def event_rates(ring: FloatArray, now: Instant) -> FloatArray:
    """Return the rate that each event of a ring still adds, (n,) events per day: Σ_k w_k exp(−lag/τ_k)/τ_k."""
    rates: FloatArray = (ring[:, RING_WEIGHTS] * np.exp(-lags_days(ring, now)[:, None] / TAUS_DAYS) / TAUS_DAYS).sum(1)
    return rates


def large_events_in(slots: FloatArray) -> LargeEvents:
    """Return the large events in some slots, (S, SLOT_COLUMNS)."""
    return LargeEvents(slots[:, :KERNELS], slots[:, SLOT_SHAPE], slots[:, SLOT_RATE])

"""What the network is told of a region's past: a fixed-size memory, advanced by one event at a time.

The memory is an exact fold: whatever the next step needs stands in it, so events may leave the window without a trace being lost.
Every input is relative (magnitude above completeness, logarithms of waits and distances, excitation), so that one set of weights
serves every region and none can be recognised by its place.

    memory = | count | time_ms | latitude | longitude | excess | log_wait | log_distance | log_count | means … | traces … | mean waits … |
                                                        └──────────────────────── INPUTS ───────────────────────────────────────────┘
                                                                                                  └ logarithm taken when read ──────┘

An *excitation trace* is Σ_j exp(a (m_j − Mc)) exp(−(t − t_j)/τ)/τ over past events: Omori–Utsu decay (Utsu 1961) as a sum of
exponentials, with Utsu's productivity exp(a m), after Ogata (1988, J. Am. Stat. Assoc. 83, 9–27), kept in O(1) per event.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY

Vector = NDArray[np.float64]

OFFSET_DAYS = 1.0 / 86_400.0
"""One second: added to a wait before its logarithm is taken, so that simultaneous events are no special case."""
TIME_CONSTANTS_DAYS = np.array([0.005, 0.02, 0.1, 0.5, 2.5, 12.0, 60.0, 300.0])
PRODUCTIVITIES = (0.0, 2.0)
"""The a in exp(a (m − Mc)): every event alike, and close to the usual productivity of aftershocks."""
EARTH_RADIUS_KM = 6371.0
ROUNDED_TO_TENTHS = 0.1
LARGEST_EXCESS = 8.0

COUNT, TIME, LATITUDE, LONGITUDE, FIRST_INPUT = 0, 1, 2, 3, 4
EXCESS, LOG_WAIT, LOG_DISTANCE, LOG_COUNT, FIRST_MEAN = 4, 5, 6, 7, 8
MEAN_LOG_WAIT_EVENTS = (4.0, 16.0, 64.0, 256.0)
MEAN_EXCESS_EVENTS = (16.0, 64.0)
MEAN_DISTANCE_EVENTS = (16.0,)
MEAN_ROUNDED_EVENTS = (64.0,)
MEAN_WAIT_EVENTS = (16.0, 256.0)
_MEANS = len(MEAN_LOG_WAIT_EVENTS + MEAN_EXCESS_EVENTS + MEAN_DISTANCE_EVENTS + MEAN_ROUNDED_EVENTS)
CENTRE = FIRST_MEAN + MEAN_LOG_WAIT_EVENTS.index(64.0)
"""Mean log wait over about 64 events: the region's own unit of time."""
ROUNDED = FIRST_MEAN + _MEANS - 1
FIRST_TRACE = FIRST_MEAN + _MEANS
_TRACES = len(PRODUCTIVITIES) * len(TIME_CONSTANTS_DAYS)
FIRST_MEAN_WAIT = FIRST_TRACE + _TRACES
SIZE = FIRST_MEAN_WAIT + len(MEAN_WAIT_EVENTS)
INPUTS = SIZE - FIRST_INPUT

_MEMORY_OF_MEANS = 1.0 / np.array(MEAN_LOG_WAIT_EVENTS + MEAN_EXCESS_EVENTS + MEAN_DISTANCE_EVENTS + MEAN_ROUNDED_EVENTS)
_MEMORY_OF_WAITS = 1.0 / np.array(MEAN_WAIT_EVENTS)
_KERNEL_HEIGHTS = 1.0 / TIME_CONSTANTS_DAYS
_LOGARITHM_FLOOR = 1e-5


def start() -> Vector:
    """The memory before any event."""
    return np.zeros(SIZE)


def advance(memory: Vector, event: Event, magnitude_of_completeness: float) -> Vector:
    """The memory one event later.

    Args:
        memory: (SIZE,), left as it is.
        event: not before the last one; its magnitude is a number.
        magnitude_of_completeness: the region's Mc.

    Returns:
        (SIZE,) a new memory.
    """
    count = float(memory[COUNT])
    magnitude = float(event.magnitude or 0.0)
    excess = min(max(magnitude - magnitude_of_completeness, 0.0), LARGEST_EXCESS)
    wait_days = max(int(event.time) - float(memory[TIME]), 0.0) / MILLISECONDS_PER_DAY if count else 1.0
    log_wait = math.log(wait_days + OFFSET_DAYS)
    apart_km = distance_km(memory[LATITUDE], memory[LONGITUDE], event.latitude, event.longitude) if count else 0.0
    log_distance = math.log1p(apart_km)

    after = np.empty(SIZE)
    after[:FIRST_MEAN] = (count + 1.0, event.time, event.latitude, event.longitude,
                          excess, log_wait, log_distance, math.log1p(min(count, 256.0)))  # fmt: skip
    newest = 1.0 / max(count, 1.0)  # the first wait is not known: the second event overwrites what the first has written
    means = memory[FIRST_MEAN:FIRST_TRACE]
    values = (*(log_wait,) * 4, excess, excess, log_distance, float(_is_rounded(magnitude)))
    after[FIRST_MEAN:FIRST_TRACE] = means + np.maximum(_MEMORY_OF_MEANS, newest) * (values - means)
    after[FIRST_TRACE:FIRST_MEAN_WAIT] = _excited(memory[FIRST_TRACE:FIRST_MEAN_WAIT], wait_days, excess)
    waits = memory[FIRST_MEAN_WAIT:]
    after[FIRST_MEAN_WAIT:] = waits + np.maximum(_MEMORY_OF_WAITS, newest) * (wait_days - waits)
    return after


def inputs(memory: Vector) -> Vector:
    """(INPUTS,) what the network sees, before scaling; finite whatever the memory."""
    seen = memory[FIRST_INPUT:].copy()
    logarithmic = seen[FIRST_TRACE - FIRST_INPUT :]
    np.log(logarithmic + _LOGARITHM_FLOOR, out=logarithmic)
    return seen


def half_bin(memory: Vector) -> float:
    """Half the step that magnitudes are rounded to here: 0.05 where all are given in tenths, 0.005 where none are by intent.

    One in ten magnitudes that are given in hundredths is a whole tenth by chance. Before any event: tenths.
    """
    share = float(memory[ROUNDED]) if memory[COUNT] else 1.0
    return 0.005 + 0.045 * min(max((share - 0.1) / 0.9, 0.0), 1.0)


def fold(events: Iterable[Event], magnitude_of_completeness: float) -> NDArray[np.float64]:
    """(N + 1, SIZE) the memory before any event and after each of N."""
    rows = [start()]
    for event in events:
        rows.append(advance(rows[-1], event, magnitude_of_completeness))
    return np.stack(rows)


def _excited(traces: Vector, wait_days: float, excess: float) -> Vector:
    decayed = traces.reshape(len(PRODUCTIVITIES), -1) * np.exp(-wait_days / TIME_CONSTANTS_DAYS)  # (2, 8)
    for row, productivity in enumerate(PRODUCTIVITIES):
        decayed[row] += math.exp(productivity * excess) * _KERNEL_HEIGHTS
    return decayed.ravel()


def _is_rounded(magnitude: float) -> bool:
    return abs(magnitude / ROUNDED_TO_TENTHS - round(magnitude / ROUNDED_TO_TENTHS)) < 1e-6


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance by the haversine formula, km; degrees in."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    half_phi, half_lambda = (phi_b - phi_a) / 2, math.radians(longitude_b - longitude_a) / 2
    chord = math.sin(half_phi) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(chord, 1.0)))

"""When: Hawkes kernels whose weights a network chooses, corrected by an LSTM."""

from __future__ import annotations

from models.timing.excitation import (
    KERNEL_PRODUCTIVITIES,
    KERNELS,
    TAUS_DAYS,
    Excitation,
    conditional_intensity,
    decays_of,
    excitation_after,
    expected_events,
)
from models.timing.excitation_features import (
    EVENT_FEATURES,
    FIRST_WAIT_DAYS,
    NEGLIGIBLE_LAGS,
    ONE_SECOND_IN_DAYS,
    OWN_FEATURES,
    RADII_KM,
    TRACE_FLOOR_PER_DAY,
    TRACE_PRODUCTIVITIES,
    TRACE_TAUS_DAYS,
    TRACES,
)
from models.timing.inter_event_time import LONGEST_WAIT_DAYS, InterEventTime
from models.timing.live import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    RING_EXCESS,
    RING_POSITION,
    RING_TIME,
    RING_WEIGHTS,
    TIME,
    LiveTiming,
    event_rates,
)
from models.timing.model import TimingNetwork, time_outcomes
from models.timing.networks import CLOCK_FLOOR, EXCITATION_FLOOR_PER_DAY, LARGEST_FACTOR, Architecture, local_hours, memory_inputs, wait_of
from models.timing.sequence_rows import rows_of
from models.timing.train import train_timing
from models.timing.training_data import TimingOptions

__all__ = [
    "BACKGROUND",
    "CLOCK_FLOOR",
    "COUNT",
    "EVENT_FEATURES",
    "EXCITATION",
    "EXCITATION_FLOOR_PER_DAY",
    "FIRST_WAIT_DAYS",
    "KERNELS",
    "KERNEL_PRODUCTIVITIES",
    "LARGEST_FACTOR",
    "LONGEST_WAIT_DAYS",
    "NEGLIGIBLE_LAGS",
    "ONE_SECOND_IN_DAYS",
    "OWN_FEATURES",
    "RADII_KM",
    "RING_EXCESS",
    "RING_POSITION",
    "RING_TIME",
    "RING_WEIGHTS",
    "TAUS_DAYS",
    "TIME",
    "TRACES",
    "TRACE_FLOOR_PER_DAY",
    "TRACE_PRODUCTIVITIES",
    "TRACE_TAUS_DAYS",
    "Architecture",
    "Excitation",
    "InterEventTime",
    "LiveTiming",
    "TimingNetwork",
    "TimingOptions",
    "conditional_intensity",
    "decays_of",
    "event_rates",
    "excitation_after",
    "expected_events",
    "local_hours",
    "memory_inputs",
    "rows_of",
    "time_outcomes",
    "train_timing",
    "wait_of",
]

"""Gaps in a catalogue: pauses too long to be waits, such as months that were never downloaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant

GAP_FACTOR, LONG_PAUSE = 5.0, 0.995
"""A pause five times as long as all but one in two hundred is a gap."""
SHORTEST_GAP_DAYS = 1.0


def gap_positions(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (K,) positions k in sorted times (N,), milliseconds, such that the pause from time k to the next one is a gap, not a wait."""
    pauses = np.diff(times)  # (N − 1,)
    long = float(np.quantile(pauses, LONG_PAUSE)) if len(pauses) else 0.0
    return np.flatnonzero(pauses > max(GAP_FACTOR * long, SHORTEST_GAP_DAYS * MILLISECONDS_PER_DAY))


def spans_without_gaps(times: Sequence[int]) -> list[tuple[Instant, Instant]]:
    """Return the spans between the gaps of a catalogue.

    Each begins 1 ms after its first event, which would otherwise be a wait of zero by construction, and ends 1 ms after its last event.

    Args:
        times: (N,) milliseconds since 1970, sorted.

    Returns:
        (start, end) of each span, in order; empty without events.
    """
    if len(times) == 0:
        return []
    sorted_times = np.asarray(times, dtype=np.int64)
    gaps = gap_positions(sorted_times)
    starts, ends = sorted_times[np.r_[0, gaps + 1]], sorted_times[np.r_[gaps, len(sorted_times) - 1]]
    return [(Instant(start + 1), Instant(end + 1)) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

"""Gaps in a catalogue: spans of time in which nothing was recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant

HOLE_FACTOR, LONG_PAUSE = 5.0, 0.995
"""A pause five times as long as all but one in two hundred is a hole."""
SHORTEST_HOLE_DAYS = 1.0


def holes(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions k in sorted times (milliseconds) such that the pause from time k to the next one is a hole, not a wait."""
    gaps = np.diff(times)  # (N − 1,)
    long = float(np.quantile(gaps, LONG_PAUSE)) if len(gaps) else 0.0
    return np.flatnonzero(gaps > max(HOLE_FACTOR * long, SHORTEST_HOLE_DAYS * MILLISECONDS_PER_DAY))


def spans(times: Sequence[int]) -> list[tuple[Instant, Instant]]:
    """The spans without holes of sorted times (milliseconds).

    Each begins just after its first event (which would otherwise be a wait of zero by construction), and ends just after its last.
    """
    if len(times) == 0:
        return []
    moments = np.asarray(times, dtype=np.int64)
    breaks = holes(moments)
    starts, ends = moments[np.r_[0, breaks + 1]], moments[np.r_[breaks, len(moments) - 1]]
    return [(Instant(start + 1), Instant(end + 1)) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

"""What an edit of a window costs, by its size, beside a copy of all its events and their ids.

    python -m tests.measurements.window_edits

The mean of four edits: the oldest event expires, a new one comes, a late one comes, and the late one is deleted. Medians of processor time.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from ingest.event import Event
from ingest.instant import Instant
from stream.core import Window
from tests.support.simulated import event

SIZES = (300, 1_000, 10_000, 100_000, 1_000_000)
ROUNDS, COPIES = 200, 5
SECOND_HOURS = 1.0 / 3_600.0


def nth(number: int, second: float) -> Event:
    return event(f"us{number:08d}", second * SECOND_HOURS)


def edit_seconds(window: Window, size: int) -> float:
    """Return the median of the mean processor time of the four edits."""
    measured = []
    for number in range(ROUNDS):
        newest, late = nth(size + number, float(size + number)), nth(2_000_000 + number, size / 2 + 0.5)
        cutoff = Instant(nth(0, number + 0.5).time)
        began = time.process_time()
        window, _ = window.expire(cutoff)
        window = window.put(newest.id, newest).window.put(late.id, late).window.put(late.id, None).window
        measured.append((time.process_time() - began) / 4)
    return median(measured)


def copy_seconds(window: Window) -> float:
    """Return the median processor time in which the events and their ids are copied once."""
    measured, events = [], window.events
    times = {one.id: one.time for one in events}
    for _ in range(COPIES):
        began = time.process_time()
        (*events, events[0]), {**times}
        measured.append(time.process_time() - began)
    return median(measured)


def main() -> None:
    for size in SIZES:
        window = Window.of([nth(number, float(number)) for number in range(size)])
        edit, copy = 1e6 * edit_seconds(window, size), 1e6 * copy_seconds(window)
        sys.stdout.write(f"{size:9,} events: {edit:8.0f} µs for an edit, {copy:10.0f} µs for a copy\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

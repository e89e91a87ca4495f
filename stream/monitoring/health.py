"""Whether what a process rests on is well, dependency by dependency: `/readyz`, the metrics of health and lag, and `quakecast doctor`.

    log        the input log answers
    store      the windows' store answers
    feed       the source has told a new time within the last five minutes
    forecasts  the workers keep up with the input
    model      a worker has said which models it forecasts with, and all say the same

Each dependency is looked at in a thread of its own, over connections of its own: one that hangs does not hide the others, and is itself
told by the age of its last look. Whoever asks gets the last looks at once, without any IO.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from ingest.instant import Instant
from ingest.poller import STALE_AFTER_SECONDS
from ingest.problem import Problem

SECONDS_BETWEEN_LOOKS = 5.0
LONGEST_LOOK_SECONDS = 45.0
"""A look that has not come back after this is taken for a bad one."""
STALLED_SECONDS = 120.0
"""Two heartbeats: without a step forward in this time, with records waiting, nobody is at work."""
FAR_BEHIND_RECORDS = 5_000
"""Some seconds' work: a worker further behind is still catching up."""

log = structlog.get_logger()
Look = Callable[[], str]
"""Gives what was found; raises a `Problem`, or whatever else goes wrong on the way, when it is not well."""


class Check(NamedTuple):
    """What the last look at a dependency found."""

    ok: bool
    why: str
    at: float
    """When (monotonic seconds)."""


def looked(look: Look, clock: Callable[[], float] = time.monotonic) -> Check:
    """One look, whatever comes of it."""
    try:
        return Check(True, look(), clock())
    except Problem as problem:
        return Check(False, str(problem), clock())
    except Exception as error:  # of any client library: to be told, not to end on
        name, text = type(error).__name__, str(error)
        return Check(False, text if text.startswith(name) else f"{name}: {text}", clock())


class Health:
    """The last looks at each dependency.

    Args:
        looks: by the dependency's name.
        clock: monotonic seconds.
    """

    def __init__(self, looks: Mapping[str, Look], clock: Callable[[], float] = time.monotonic) -> None:
        self._looks, self._clock = dict(looks), clock
        self._checks = dict.fromkeys(self._looks, Check(False, "not looked at yet", clock()))

    def look(self, name: str) -> None:
        """Look at one dependency now."""
        found = looked(self._looks[name], self._clock)
        before, self._checks[name] = self._checks[name], found
        if before.ok != found.ok:
            (log.info if found.ok else log.warning)("dependency", name=name, ok=found.ok, why=found.why)

    def start(self, stop: threading.Event, every_seconds: float = SECONDS_BETWEEN_LOOKS) -> None:
        """Look again and again, in threads that end with the process or soon after `stop`."""
        for name in self._looks:
            threading.Thread(target=self._keep_looking, args=(name, stop, every_seconds), name=f"health-{name}", daemon=True).start()

    def _keep_looking(self, name: str, stop: threading.Event, every_seconds: float) -> None:
        while not stop.is_set():
            self.look(name)
            stop.wait(every_seconds)

    def checks(self) -> dict[str, Check]:
        """By dependency, the last look; a bad one in place of one that is too old."""
        now = self._clock()
        return {name: _if_fresh(check, now) for name, check in list(self._checks.items())}


def _if_fresh(check: Check, now: float) -> Check:
    age = now - check.at
    return check if age <= LONGEST_LOOK_SECONDS else Check(False, f"no answer for {age:.0f} s; before that: {check.why}", check.at)


class Progress:
    """Whether the workers keep up: it remembers when they last took a step, so each look needs the ones before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reached: dict[int, int] = {}
        self._moved_at = clock()
        self.behind: dict[int, int] = {}
        """By partition, how many offsets of the input have no forecast yet, as of the last look."""

    def look(self, ends: Mapping[int, int], reached: Mapping[int, int], marker_offsets: int) -> str:
        """One look.

        Args:
            ends: by partition, the offset after the input's last record.
            reached: by partition, the next offset that the workers will take; those nobody has been at are missing.
            marker_offsets: how many offsets a transaction takes after its last record (Kafka's markers).

        Raises:
            Problem: nobody is at work, or they are far behind.
        """
        had_waiting = any(self.behind.values())
        self.behind = behind_by(ends, reached, marker_offsets)
        waiting = sum(self.behind.values())
        if dict(reached) != self._reached or not had_waiting:
            self._reached, self._moved_at = dict(reached), self._clock()
        still_seconds = self._clock() - self._moved_at
        if waiting and still_seconds >= STALLED_SECONDS:
            raise Problem(
                f"{waiting} records wait and no worker has taken one for {still_seconds:.0f} s", "look whether quakecast forecast runs"
            )
        if waiting > FAR_BEHIND_RECORDS:
            raise Problem(f"{waiting} records behind the input", "wait until the workers have caught up, or start more of them")
        return f"{waiting} records behind the input"


def behind_by(ends: Mapping[int, int], reached: Mapping[int, int], marker_offsets: int) -> dict[int, int]:
    """By partition, how many offsets lie between the workers and the end; the marker after the last record is none to wait for."""
    return {partition: max(0, end - reached.get(partition, 0) - marker_offsets) for partition, end in sorted(ends.items())}


def feed_heard(unheard_seconds: float, feed_time: Instant | None, trouble: str | None) -> str:
    """One look at a feed, which has not told a new time for so long (infinitely: never).

    Raises:
        Problem: it has not been heard for too long.
    """
    if math.isinf(unheard_seconds):
        raise Problem("nothing of it is in the log yet", "start quakecast ingest, or wait for its first answer")
    told = "it has not told a time yet" if feed_time is None else f"its last time is {feed_time}"
    if unheard_seconds > STALE_AFTER_SECONDS:
        more = f" ({trouble})" if trouble else ""
        raise Problem(
            f"not heard for {unheard_seconds:.0f} s, {told}{more}", "see whether the source answers: quakecast doctor --only feed"
        )
    if feed_time is None:
        raise Problem(told, f"wait for the first answer{f' ({trouble})' if trouble else ''}")
    return f"heard {unheard_seconds:.0f} s ago, {told}"

"""Health of the dependencies of a process, one by one: for `/readyz`, the metrics of health and lag, and `quakecast doctor`.

    log        the input log answers
    store      the store of the windows answers
    feed       the source has published a new time within the last five minutes
    forecasts  the workers keep up with the input
    model      at least one worker has saved the model it forecasts with, and all workers use the same

Each dependency is probed in a thread of its own, over connections of its own. A probe that hangs therefore does not delay the others, and
its result turns bad when it becomes too old. Reading the latest results does no IO.
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

SECONDS_BETWEEN_PROBES = 5.0
LONGEST_PROBE_SECONDS = 45.0
"""A result older than this counts as bad: the next probe should have returned by then."""
STALLED_SECONDS = 120.0
"""Two heartbeat intervals: if records wait and none is taken for this long, no worker is running."""
FAR_BEHIND_RECORDS = 5_000
"""A few seconds of work: a worker that is further behind is still catching up."""

log = structlog.get_logger()
Probe = Callable[[], str]
"""Checks one dependency. Returns a description of its state; raises a `Problem`, or any error of a client library, if it is not healthy."""


class Check(NamedTuple):
    """The result of the latest probe of a dependency."""

    ok: bool
    why: str
    """The description that the probe returned, or what is wrong."""
    at: float
    """When the probe returned (monotonic seconds)."""


def run_probe(probe: Probe, clock: Callable[[], float] = time.monotonic) -> Check:
    """Run a probe once. Never raises: every error becomes a bad result."""
    try:
        return Check(True, probe(), clock())
    except Problem as problem:
        return Check(False, str(problem), clock())
    except Exception as error:  # any client library may raise anything; the error is the result, not a reason to stop
        name, text = type(error).__name__, str(error)
        return Check(False, text if text.startswith(name) else f"{name}: {text}", clock())


class Health:
    """The latest result for each dependency.

    Args:
        probes: by the name of the dependency.
        clock: returns monotonic seconds.
    """

    def __init__(self, probes: Mapping[str, Probe], clock: Callable[[], float] = time.monotonic) -> None:
        self._probes, self._clock = dict(probes), clock
        self._checks = dict.fromkeys(self._probes, Check(False, "not checked yet", clock()))

    def probe(self, name: str) -> None:
        """Probe one dependency now, keep the result, and log a change between healthy and unhealthy."""
        check = run_probe(self._probes[name], self._clock)
        before, self._checks[name] = self._checks[name], check
        if before.ok != check.ok:
            (log.info if check.ok else log.warning)("dependency", name=name, ok=check.ok, why=check.why)

    def start(self, stop: threading.Event, every_seconds: float = SECONDS_BETWEEN_PROBES) -> None:
        """Probe each dependency repeatedly, in daemon threads that end soon after `stop` is set."""
        for name in self._probes:
            threading.Thread(target=self._probe_repeatedly, args=(name, stop, every_seconds), name=f"health-{name}", daemon=True).start()

    def _probe_repeatedly(self, name: str, stop: threading.Event, every_seconds: float) -> None:
        while not stop.is_set():
            self.probe(name)
            stop.wait(every_seconds)

    def checks(self) -> dict[str, Check]:
        """Return the latest result by dependency; a result that is too old is replaced by a bad one."""
        now = self._clock()
        return {name: _unless_overdue(check, now) for name, check in list(self._checks.items())}


def _unless_overdue(check: Check, now: float) -> Check:
    age = now - check.at
    return check if age <= LONGEST_PROBE_SECONDS else Check(False, f"no answer for {age:.0f} s; the result before: {check.why}", check.at)


class Progress:
    """Checks that the workers keep up with the input. It remembers when they last advanced, so call `check` at regular intervals."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reached: dict[int, int] = {}
        self._moved_at = clock()
        self.lag: dict[int, int] = {}
        """By partition, the number of input offsets without a forecast at the latest check."""

    def check(self, ends: Mapping[int, int], reached: Mapping[int, int], marker_offsets: int) -> str:
        """Compare the positions of the workers with the ends of the input.

        Args:
            ends: by partition, the offset after the last input record.
            reached: by partition, the next offset that the workers will take; a partition that no worker has taken yet is missing.
            marker_offsets: number of offsets that a transaction occupies after its last record (Kafka's transaction markers).

        Returns:
            The number of records that wait, as text.

        Raises:
            Problem: records wait and no worker takes them, or the workers are far behind.
        """
        had_waiting = any(self.lag.values())
        self.lag = lag_by_partition(ends, reached, marker_offsets)
        waiting = sum(self.lag.values())
        if dict(reached) != self._reached or not had_waiting:
            self._reached, self._moved_at = dict(reached), self._clock()
        idle_seconds = self._clock() - self._moved_at
        if waiting and idle_seconds >= STALLED_SECONDS:
            raise Problem(
                f"{waiting} records wait and no worker has taken one for {idle_seconds:.0f} s", "check that quakecast forecast is running"
            )
        if waiting > FAR_BEHIND_RECORDS:
            raise Problem(f"the workers are {waiting} records behind the input", "wait until they have caught up, or start more of them")
        return f"{waiting} records behind the input"


def lag_by_partition(ends: Mapping[int, int], reached: Mapping[int, int], marker_offsets: int) -> dict[int, int]:
    """Return, by partition, the offsets between the workers and the end of the input, without the markers after the last record."""
    return {partition: max(0, end - reached.get(partition, 0) - marker_offsets) for partition, end in sorted(ends.items())}


def check_feed(silent_seconds: float, feed_time: Instant | None, trouble: str | None) -> str:
    """Check that a feed has published a new time within the last minutes.

    Args:
        silent_seconds: seconds since the feed last published a new time; infinite if it never did.
        feed_time: the feed's latest time, if there is one.
        trouble: the poller's latest error, if there is one.

    Returns:
        The seconds since the feed was heard, and its latest time, as text.

    Raises:
        Problem: the feed has been silent for too long, or was never heard.
    """
    if math.isinf(silent_seconds):
        raise Problem("the log has no record of the feed yet", "start quakecast ingest, or wait for its first answer from the feed")
    latest = "it has published no time yet" if feed_time is None else f"its latest time is {feed_time}"
    reason = f" ({trouble})" if trouble else ""
    if silent_seconds > STALE_AFTER_SECONDS:
        raise Problem(
            f"the feed has been silent for {silent_seconds:.0f} s, {latest}{reason}",
            "check whether the source answers: quakecast doctor --only feed",
        )
    if feed_time is None:
        raise Problem(latest, f"wait for the first answer{reason}")
    return f"heard {silent_seconds:.0f} s ago, {latest}"

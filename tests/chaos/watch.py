"""Looks at a deployment while it runs: when input arrives, and how far the workers are."""

from __future__ import annotations

import threading
import time

from ingest.bus.log import EVENTS, REGION_PARTITIONS
from ingest.event import Promotion, decode
from ingest.problem import Problem
from tests.chaos.deployment import Deployment

LOOK_SECONDS = 0.1


class Watch:
    """A thread that follows the input log and the workers' saved positions."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._arrivals: list[tuple[float, int, int]] = []
        """Of each input record: monotonic seconds when it was read, partition, sequence."""
        self.reached = dict.fromkeys(range(REGION_PARTITIONS), -1)
        """By partition, the sequence up to which the workers have come."""
        self._advanced_at = dict.fromkeys(self.reached, time.monotonic())
        self._silence = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        log = self._deployment.open_log()
        follower = log.follow({(EVENTS, number): 0 for number in self.reached})
        while not self._stop.is_set():
            for record in follower.poll(1_000, LOOK_SECONDS):
                decoded = decode(record.value)
                if not isinstance(decoded, Promotion):
                    self._arrivals.append((time.monotonic(), record.partition, decoded.sequence))
            self._look()
            for process in self._deployment.processes:
                process.revive()
        follower.close()

    def _look(self) -> None:
        if self._deployment.redis is not None:
            self._deployment.redis.follow()
        try:
            store = self._deployment.open_store()
            positions = store.positions()
            store.close()
        except Problem:  # away
            positions = {}
        now = time.monotonic()
        for number, position in positions.items():
            if position.sequence > self.reached[number]:
                self.reached[number] = position.sequence
                self._advanced_at[number] = now
        self._silence = max(self._silence, now - min(self._advanced_at.values()))

    def forget_silence(self) -> None:
        """Begin a new measurement of the longest silence."""
        self._silence = 0.0

    @property
    def silence_seconds(self) -> float:
        """Return the longest time since `forget_silence` in which some partition did not advance."""
        return self._silence

    def has_passed(self, moment: float) -> bool:
        """Return whether every partition has taken in a record that was written after a moment (monotonic seconds)."""
        first: dict[int, int] = {}
        for arrived, partition, sequence in reversed(self._arrivals):
            if arrived <= moment:
                break
            first[partition] = sequence
        return len(first) == REGION_PARTITIONS and all(self.reached[number] >= sequence for number, sequence in first.items())

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

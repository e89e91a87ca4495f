"""Waiting for a condition until a deadline: a count of polls or a fixed pause is too short when the machine is busy."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from stream.core import Position

PATIENCE_SECONDS = 300.0
"""No condition takes that long, not even on a busy machine. It ends a test whose condition never comes true."""


def wait_until(
    condition: Callable[[], bool],
    what: str | Callable[[], object],
    *,
    meanwhile: Callable[[], object] = lambda: time.sleep(0.05),
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Do something again and again until a condition holds.

    Args:
        condition: is looked at first, and after each turn.
        what: names the condition, or returns the state to show, should it not come true.
        meanwhile: one turn; a short pause by default.
        seconds: after so long it fails.

    Raises:
        AssertionError: the condition does not hold by then.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what if isinstance(what, str) else what()}: not within {seconds:.0f} s"
        meanwhile()


def stop_process(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end, wait until it has, and return its exit code; kill it if it does not end."""
    process.terminate()
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


class _TakesTurns(Protocol):
    def turn(self, wait_seconds: float, /) -> object: ...


class _HasPositions(Protocol):
    def positions(self) -> Mapping[int, Position]: ...


def consumed_by(worker: _HasPositions) -> dict[int, int]:
    """Return the sequence of the last record that a forecasting worker has consumed, by partition."""
    return {partition: position.sequence for partition, position in worker.positions().items()}


def work_until(worker: _TakesTurns, reached: Callable[[], Mapping[int, int]], last: Mapping[int, int]) -> None:
    """Let a worker take turns until it has consumed every record.

    Args:
        reached: returns the sequence of the last record consumed, by partition.
        last: the sequence of the last record written, by partition.
    """
    wait_until(
        lambda: all(reached().get(partition, -1) >= sequence for partition, sequence in last.items()),
        lambda: f"consumed {reached()} of {last}",
        meanwhile=lambda: worker.turn(0.1),
    )

"""Our command with a wall clock that a file shifts, and if wanted with a broken promise.

`python -m tests.chaos.command FILE CONTROL COMMAND …`; the file holds the shift in seconds, and CONTROL is `-` for none. The shift is made
in Python, since libfaketime (0.9.10) lets `time.sleep` of Python 3.11 fail: it does not know absolute sleeps on the monotonic clock.
"""

from __future__ import annotations

import mmap
import sys
import time
from pathlib import Path


def shift_clock(file: Path) -> None:
    """Let `time.time` and `time.time_ns` tell the time with the shift that the file holds."""
    true_time, true_time_ns = time.time, time.time_ns
    with file.open("rb") as opened:
        content = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)  # no file is opened later: a fault may forbid it

    def shift_seconds() -> int:
        return int(content[:])

    time.time = lambda: true_time() + shift_seconds()
    time.time_ns = lambda: true_time_ns() + shift_seconds() * 1_000_000_000


if __name__ == "__main__":
    clock, control = sys.argv.pop(1), sys.argv.pop(1)
    shift_clock(Path(clock))
    if control != "-":
        from tests.chaos.broken import CONTROLS

        CONTROLS[control].break_it()
    from stream.cli import main

    main()

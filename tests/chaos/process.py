"""A process of a deployment, started again when it ends by itself, as a container is by `restart: unless-stopped`."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.stand_ins import environment

STOP_LIMIT_SECONDS = 60.0
LOOK_SECONDS = 0.05


def seconds_until(has_ended: Callable[[], bool]) -> float:
    """Wait for `STOP_LIMIT_SECONDS` at most, and return how long it took.

    A look that comes late by itself, since the machine stands still or others have its processors, counts as one in time.
    """
    looks = 0
    began = time.monotonic()
    while not has_ended() and time.monotonic() - began < STOP_LIMIT_SECONDS:
        time.sleep(LOOK_SECONDS)
        looks += 1
    return looks * LOOK_SECONDS


class ManagedProcess:
    """One of our commands as a process of its own.

    Args:
        name: names its log file.
        arguments: of the command.
        control: the promise to break; None for none.
    """

    def __init__(self, name: str, arguments: list[str], folder: Path, control: str | None) -> None:
        self.name, self._folder = name, folder
        self.log_file, self._clock_file = folder / f"{name}.log", folder / f"{name}.clock"
        self._set_clock(0)
        self._command = [sys.executable, "-m", "tests.chaos.command", str(self._clock_file), control or "-", *arguments]
        self._environment = environment(
            PYTHONPATH=str(ROOT), QUAKECAST_LOG="json", QUAKECAST_MODELS=f"{folder}/models", OMP_NUM_THREADS="1"
        )
        self._lock = threading.Lock()
        self._is_wanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self.ended: list[int] = []
        """The exit codes of the times that it ended by itself."""
        self.stop_seconds: list[float] = []
        """How long each stop by SIGTERM took, without the time for which the machine let us wait as well."""

    @property
    def identity(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._lock:
            self._is_wanted = True
            self._start()

    def _start(self) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log)

    def revive(self) -> None:
        """Start it again if it has ended by itself."""
        with self._lock:
            if self._is_wanted and self._process is not None and (code := self._process.poll()) is not None:
                self.ended.append(code)
                self._start()

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        with self._lock:
            self._is_wanted = False
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def stop(self) -> None:
        """Stop it by SIGTERM; kill it when it has not ended after `STOP_LIMIT_SECONDS`."""
        with self._lock:
            self._is_wanted = False
            if self._process is None or self._process.poll() is not None:
                return
            self._process.terminate()
            self.stop_seconds.append(seconds_until(lambda: self._process is None or self._process.poll() is not None))
            self._process.kill()
            self._process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop its execution (SIGSTOP)."""
        process = self.identity
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    @contextmanager
    def clock_off_by(self, seconds: int) -> Iterator[None]:
        """Shift its wall clock; its monotonic clock goes on."""
        self._set_clock(seconds)
        try:
            yield
        finally:
            self._set_clock(0)

    def _set_clock(self, seconds: int) -> None:
        with self._clock_file.open("r+b" if self._clock_file.exists() else "wb", buffering=0) as file:
            file.write(b"%+10d\n" % seconds)  # of one length: it is mapped into the process's memory

    @contextmanager
    def limited(self, kind: int, most: int) -> Iterator[None]:
        """Set a resource limit (`resource.RLIMIT_…`) of the running process."""
        process = self.identity
        with suppress(ProcessLookupError):
            before = resource.prlimit(process, kind)
            resource.prlimit(process, kind, (most, before[1]))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(process, kind, before)

    def open_files(self) -> int:
        """Return how many file descriptors it has open."""
        return len(os.listdir(f"/proc/{self.identity}/fd"))

    def address_space_bytes(self) -> int:
        """Return the size of its address space."""
        pages = int(Path(f"/proc/{self.identity}/statm").read_text(encoding="ascii").split()[0])
        return pages * resource.getpagesize()

    def tracebacks(self) -> int:
        """Return how many tracebacks its log has."""
        return self.log_file.read_text(encoding="utf-8", errors="replace").count("Traceback (most recent call last)")

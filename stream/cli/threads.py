"""Threads that stop together."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ThreadGroup:
    """Threads that stop together: when one ends, `stop` is set for the others, and `join` raises its error if it failed."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run a function in a new thread of this name."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = self._error or error
            finally:
                self._stop.set()

        self._threads.append(threading.Thread(target=run, name=name))
        self._threads[-1].start()

    def failed(self) -> bool:
        """Return whether a thread has ended with an error."""
        return self._error is not None

    def join(self) -> None:
        """Wait until all threads have ended. Raises the first error of any of them."""
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

"""Threads that stop together."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ThreadGroup:
    """Threads that stop together: when one fails, the others end and its error is raised by `join`."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._error = self._error or error
            finally:
                self._stop.set()

        self._threads.append(threading.Thread(target=guarded, name=name))
        self._threads[-1].start()

    def failed(self) -> bool:
        """Whether a thread has ended with an error."""
        return self._error is not None

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

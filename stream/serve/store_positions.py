"""How far the windows in the store are, asked from the event loop without stopping it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from stream.core import Position
from stream.store import Store

FRESH_SECONDS = 0.5

log = structlog.get_logger()


class Windows:
    """Asks the store at most twice a second, one question at a time, in a thread."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._store: Store | None = None
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._found: dict[int, Position] | None = None

    async def positions(self) -> dict[int, Position] | None:
        """By partition, how far it is; none when the store does not answer."""
        async with self._lock:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._found = await asyncio.to_thread(self._ask)
                self._asked_at = time.monotonic()
            return self._found

    def _ask(self) -> dict[int, Position] | None:
        try:
            self._store = self._store or self._open_store()
            return self._store.positions()
        except Exception as error:  # whatever the store's library raises: the answer is that it is not reachable
            log.warning("the windows do not answer", trouble=f"{type(error).__name__}: {error}")
            self._store = None
            return None

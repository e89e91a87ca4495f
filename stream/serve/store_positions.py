"""Positions of the workers in the store, read without blocking the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from stream.core import Position
from stream.store import Store

FRESH_SECONDS = 0.5

log = structlog.get_logger()


class StorePositions:
    """Reads the store in a thread, at most twice per second and one read at a time; callers in between get the latest result.

    Args:
        open_store: opens the store; called again after an error.
    """

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._store: Store | None = None
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._latest: dict[int, Position] | None = None

    async def positions(self) -> dict[int, Position] | None:
        """Return the saved position by partition; None if the store does not answer."""
        async with self._lock:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                self._latest = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            return self._latest

    def _read(self) -> dict[int, Position] | None:
        try:
            self._store = self._store or self._open_store()
            return self._store.positions()
        except Exception as error:  # whatever the store's library raises: the store cannot be reached
            log.warning("the store does not answer", trouble=f"{type(error).__name__}: {error}")
            self._store = None
            return None

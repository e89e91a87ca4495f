"""Waiting for a server that is away: one log line at its loss, one each half minute, one when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from ingest.problem import Unavailable

RETRY_SECONDS = 0.5
SECONDS_BETWEEN_LINES = 30.0

log = structlog.get_logger()


def wait_until_available(lost: Unavailable, reopen: Callable[[], None], stopped: Callable[[], bool]) -> None:
    """Call `reopen` again and again until it does not raise `Unavailable`, or until `stopped` returns true.

    Args:
        lost: what was raised when the server was lost.
        reopen: opens connections anew and reads from the servers where to go on. It must leave nothing half done when it raises.
    """
    began = time.monotonic()
    log.warning("waiting for a server", trouble=lost.what, remedy=lost.remedy)
    next_line = began + SECONDS_BETWEEN_LINES
    while not stopped():
        time.sleep(RETRY_SECONDS)
        try:
            reopen()
        except Unavailable as still:
            if time.monotonic() >= next_line:
                log.warning("still waiting for a server", trouble=still.what, since_seconds=round(time.monotonic() - began))
                next_line += SECONDS_BETWEEN_LINES
            continue
        log.info("the server is back", after_seconds=round(time.monotonic() - began, 1))
        return

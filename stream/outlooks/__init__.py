"""When an outlook is due, and the process that simulates it."""

from __future__ import annotations

from stream.outlooks.simulator import Asked, Simulated
from stream.outlooks.worker import GROUP, OutlookWorker, outlooks_of

__all__ = [
    "GROUP",
    "Asked",
    "OutlookWorker",
    "Simulated",
    "outlooks_of",
]

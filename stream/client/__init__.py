"""A typed client of quakecast's HTTP API: `from stream.client import Client`. See docs/consumers.md."""

from __future__ import annotations

from stream.client.client import Client
from stream.client.subscription import Subscription, Unreadable

__all__ = [
    "Client",
    "Subscription",
    "Unreadable",
]

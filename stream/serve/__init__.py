"""The HTTP server: the API under `/v1/`, the live stream, and the page."""

from __future__ import annotations

from stream.serve.api import Sources
from stream.serve.gate import Access
from stream.serve.server import serve
from stream.serve.store_positions import StorePositions

__all__ = [
    "Access",
    "Sources",
    "StorePositions",
    "serve",
]

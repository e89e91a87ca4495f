"""The HTTP server: REST under `/v1/`, the stream, the page."""

from __future__ import annotations

from stream.serve.api import Sources
from stream.serve.gate import Access
from stream.serve.server import serve
from stream.serve.store_positions import Windows

__all__ = [
    "Access",
    "Sources",
    "Windows",
    "serve",
]

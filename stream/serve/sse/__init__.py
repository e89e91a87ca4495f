"""The live stream of records as server-sent events."""

from __future__ import annotations

from stream.serve.sse.client_stream import Stream, Wish
from stream.serve.sse.cursor import PLACES, STREAMED, Cursor, decode_cursor, is_ahead
from stream.serve.sse.hub import Hub
from stream.serve.sse.log_reader import Reading, ends_of
from stream.serve.sse.log_tail import Tail
from stream.serve.sse.ring import Filter, Head

__all__ = [
    "PLACES",
    "STREAMED",
    "Cursor",
    "Filter",
    "Head",
    "Hub",
    "Reading",
    "Stream",
    "Tail",
    "Wish",
    "decode_cursor",
    "ends_of",
    "is_ahead",
]

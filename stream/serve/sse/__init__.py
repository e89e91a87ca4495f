"""The live stream of records as server-sent events."""

from __future__ import annotations

from stream.serve.sse.client_stream import ClientStream, StreamRequest
from stream.serve.sse.cursor import STREAMED, STREAMED_PARTITIONS, Cursor, decode_cursor, is_ahead
from stream.serve.sse.hub import Hub
from stream.serve.sse.log_reader import LogReader, end_offsets
from stream.serve.sse.log_tail import LogTail
from stream.serve.sse.ring import Filter, Head

__all__ = [
    "STREAMED",
    "STREAMED_PARTITIONS",
    "ClientStream",
    "Cursor",
    "Filter",
    "Head",
    "Hub",
    "LogReader",
    "LogTail",
    "StreamRequest",
    "decode_cursor",
    "end_offsets",
    "is_ahead",
]

"""A subscription to the live stream: each record once, in order, over as many connections as it takes.

connect, Last-Event-ID: cursor ─▶ frame ─▶ cursor moves on ─▶ decode ─▶ wanted? ─▶ yield to the program ─▶ save the cursor
   ▲                                                             │ fails: `Unreadable`, counted and reported    (on the next call)
   └── pause, longer each time while no record arrives ◀── the connection broke
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ingest.problem import Problem
from stream.client.connection import LONGEST_PAUSE_SECONDS, Connection, Frame, Unavailable, retry_attempts, should_retry
from stream.records import AnyRecord, decode_record
from stream.selection import Selection

KEPT_UNREADABLE = 100
END = "end"
"""The event that closes a stream with `until_end`."""


class Unreadable(NamedTuple):
    """A message that is not a record of a known schema. The stream continues after it."""

    topic: str
    """The short name, such as `forecasts`."""
    cursor: str
    data: str
    reason: str


class Subscription:
    """An iterator over the records of the stream. Use it from one thread at a time."""

    def __init__(
        self,
        connection: Connection,
        parameters: Mapping[str, Any],
        selection: Selection,
        *,
        after: str | None = None,
        cursor_file: Path | None = None,
        on_unreadable: Callable[[Unreadable], None] | None = None,
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            connection: to the server.
            parameters: the query parameters of the request; `topics` must be among them.
            selection: which records to return.
            after: a cursor to continue after; by default the one in the file.
            cursor_file: the file that keeps the cursor between runs of the program.
            on_unreadable: called with each message that cannot be decoded.
            on_trouble: called with the reason each time a connection breaks.

        Raises:
            Problem: the file cannot be read.
        """
        self.cursor = after or _read_cursor(cursor_file)
        """The cursor after the record returned last; a later subscription can continue after it."""
        self.json = ""
        """The record returned last, as JSON text."""
        self.unreadable = 0
        self.last_unreadable: deque[Unreadable] = deque(maxlen=KEPT_UNREADABLE)
        self.connections = 0
        self._connection, self._parameters, self._selection, self._file = connection, parameters, selection, cursor_file
        self._on_unreadable, self._on_trouble = on_unreadable, on_trouble
        self._saved_cursor, self._has_ended = self.cursor, False
        self._records = self._run()

    @property
    def left_out_tests(self) -> int:
        """The number of records that were left out because they are not live."""
        return self._selection.left_out_tests

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> AnyRecord:
        return next(self._records)

    def save(self) -> None:
        """Write the cursor to the file, which marks the last record as processed. Requesting the next record does this, too."""
        if self._file is None or self.cursor is None or self.cursor == self._saved_cursor:
            return
        new = self._file.with_name(self._file.name + ".new")
        new.write_text(self.cursor, encoding="utf-8")
        os.replace(new, self._file)  # replaces the file as a whole: a crash leaves the old or the new cursor
        self._saved_cursor = self.cursor

    def close(self) -> None:
        """Close the connection. This does not mark the last record as processed: call `save` first if it was."""
        self._records.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> Generator[AnyRecord]:
        began = time.monotonic()
        while not self._has_ended:
            try:
                for attempt in retry_attempts(lambda error: self._retry_after(error, began), None, LONGEST_PAUSE_SECONDS):
                    with attempt:
                        yield from self._one_connection()
            except Unavailable as error:
                raise self._connection.unreachable(error) from None

    def _retry_after(self, error: Exception, began: float) -> bool | float:
        """Return whether to retry, or after how many seconds.

        A server that has never answered may be at another address, so retrying ends after `patience_seconds`. One that has answered
        before is retried without limit.
        """
        if isinstance(error, Unavailable) and self._on_trouble is not None:
            self._on_trouble(str(error))
        has_lost_patience = self.connections == 0 and time.monotonic() - began > self._connection.patience_seconds
        return False if has_lost_patience else should_retry(error)

    def _one_connection(self) -> Generator[AnyRecord]:
        """Yield records until the connection ends.

        Raises:
            Unavailable: the connection ended without any record; pause before the next one.
        """
        is_connected = has_records = False
        try:
            for frame in self._connection.frames("/v1/stream", self._query(), self.cursor):
                self.connections += not is_connected
                is_connected, has_records = True, has_records or frame.event != ""
                yield from self._records_of(frame)
                if self._has_ended:
                    return
            trouble = Unavailable("the server ended the stream")
        except Unavailable as error:
            trouble = error
        if not has_records:
            raise trouble
        if self._on_trouble is not None:
            self._on_trouble(str(trouble))

    def _query(self) -> dict[str, Any]:
        """Return the parameters of the next connection. `from` is only for the first one; later ones continue after the cursor."""
        return {name: value for name, value in self._parameters.items() if name != "from" or self.cursor is None}

    def _records_of(self, frame: Frame) -> Generator[AnyRecord]:
        if frame.event == END:
            self._has_ended = True
        is_requested = frame.event in self._parameters["topics"]  # newer servers may send other events
        if not is_requested or (frame.id and frame.id == self.cursor):
            self.cursor = frame.id or self.cursor
            return
        self.cursor = frame.id or self.cursor
        record = self._decode(frame)
        if record is not None and self._selection.takes(record):
            self.json = frame.data
            yield record
            self.save()

    def _decode(self, frame: Frame) -> AnyRecord | None:
        """Return the record of a frame; None if it cannot be decoded, which is counted and reported."""
        try:
            return decode_record(frame.data)
        except msgspec.DecodeError as error:
            unreadable = Unreadable(frame.event, frame.id, frame.data, str(error))
        self.unreadable += 1
        self.last_unreadable.append(unreadable)
        if self._on_unreadable is not None:
            self._on_unreadable(unreadable)
        return None


def _read_cursor(file: Path | None) -> str | None:
    """Return the cursor in a file; None if there is no file yet."""
    if file is None or not file.exists():
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"the cursor in {file} cannot be read ({error})", "name another file, or remove this one to begin anew") from None

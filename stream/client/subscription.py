"""A subscription to the live stream: each record once, in order, over as many connections as it takes.

connect, Last-Event-ID: cursor ─▶ frame ─▶ decode ─▶ wanted? ─▶ given to the program ─▶ cursor moves on ─▶ saved
   ▲                                        │ no: `Unreadable`, told and counted          (when the next record is asked for)
   └── pause, longer each time, while nothing comes ◀── the connection broke
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
from stream.client.connection import LONGEST_PAUSE_SECONDS, Connection, Frame, Unavailable, retry_attempts, worth_another_try
from stream.records import AnyRecord, decode_record
from stream.selection import Selection

KEPT_UNREADABLE = 100
END = "end"
"""The event by which a server closes a stream that was asked for up to its end only."""


class Unreadable(NamedTuple):
    """A message that is no record of a known schema. The stream goes on after it."""

    topic: str
    """Its short name, such as `forecasts`."""
    cursor: str
    data: str
    reason: str


class Subscription:
    """An iterator of records. Not for several threads at once."""

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
            parameters: of the request; `topics` among them.
            after: a cursor to go on from; without it that of the file.
            cursor_file: holds the cursor between runs of the program.
            on_unreadable: told each message that cannot be read.
            on_trouble: told why a connection broke, each time.

        Raises:
            Problem: the file cannot be read.
        """
        self.cursor = after or _read(cursor_file)
        """After the record given last; with it a later subscription goes on."""
        self.json = ""
        """The record given last, as it stands in its topic."""
        self.unreadable = 0
        self.last_unreadable: deque[Unreadable] = deque(maxlen=KEPT_UNREADABLE)
        self.connections = 0
        self._connection, self._parameters, self._selection, self._file = connection, parameters, selection, cursor_file
        self._on_unreadable, self._on_trouble = on_unreadable, on_trouble
        self._saved, self._ended = self.cursor, False
        self._records = self._run()

    @property
    def left_out_tests(self) -> int:
        """Records of replays that were not given."""
        return self._selection.left_out_tests

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> AnyRecord:
        return next(self._records)

    def save(self) -> None:
        """Write the cursor into the file: the record given last counts as done. Asking for the next record does so too."""
        if self._file is None or self.cursor is None or self.cursor == self._saved:
            return
        beside = self._file.with_name(self._file.name + ".new")
        beside.write_text(self.cursor, encoding="utf-8")
        os.replace(beside, self._file)  # never half a cursor
        self._saved = self.cursor

    def close(self) -> None:
        """End the connection. The record given last is not counted as done: call `save` before if it is."""
        self._records.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> Generator[AnyRecord]:
        began = time.monotonic()
        while not self._ended:
            try:
                for attempt in retry_attempts(lambda error: self._again(error, began), None, LONGEST_PAUSE_SECONDS):
                    with attempt:
                        yield from self._one_connection()
            except Unavailable as error:
                raise self._connection.unreachable(error) from None

    def _again(self, error: Exception, began: float) -> bool | float:
        """Whoever never answered may be the wrong address, and patience ends; whoever did will come back."""
        if isinstance(error, Unavailable) and self._on_trouble is not None:
            self._on_trouble(str(error))
        impatient = self.connections == 0 and time.monotonic() - began > self._connection.patience_seconds
        return False if impatient else worth_another_try(error)

    def _one_connection(self) -> Generator[AnyRecord]:
        """Records until the connection ends.

        Raises:
            Unavailable: it ended before any record came: time for a pause.
        """
        heard = fruitful = False
        try:
            for frame in self._connection.frames("/v1/stream", self._asked(), self.cursor):
                self.connections += not heard
                heard, fruitful = True, fruitful or frame.event != ""
                yield from self._taken(frame)
                if self._ended:
                    return
            trouble = Unavailable("the server ended the stream")
        except Unavailable as error:
            trouble = error
        if not fruitful:
            raise trouble
        if self._on_trouble is not None:
            self._on_trouble(str(trouble))

    def _asked(self) -> dict[str, Any]:
        """The start counts for the first connection alone: later ones go on from the cursor."""
        return {name: value for name, value in self._parameters.items() if name != "from" or self.cursor is None}

    def _taken(self, frame: Frame) -> Generator[AnyRecord]:
        if frame.event == END:
            self._ended = True
        known = frame.event in self._parameters["topics"]  # other events may come with later servers
        if not known or (frame.id and frame.id == self.cursor):
            self.cursor = frame.id or self.cursor
            return
        self.cursor = frame.id or self.cursor
        record = self._read(frame)
        if record is not None and self._selection.takes(record):
            self.json = frame.data
            yield record
            self.save()

    def _read(self, frame: Frame) -> AnyRecord | None:
        try:
            return decode_record(frame.data)
        except msgspec.DecodeError as error:
            found = Unreadable(frame.event, frame.id, frame.data, str(error))
        self.unreadable += 1
        self.last_unreadable.append(found)
        if self._on_unreadable is not None:
            self._on_unreadable(found)
        return None


def _read(file: Path | None) -> str | None:
    """The cursor in a file; none when there is no file yet."""
    if file is None or not file.exists():
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"the cursor in {file} cannot be read ({error})", "name another file, or remove it to begin anew") from None

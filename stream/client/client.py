"""What the API offers, typed: one method an endpoint, and the live stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ingest.instant import Instant
from stream.client.connection import PATIENCE_SECONDS, Connection
from stream.client.subscription import Subscription, Unreadable
from stream.selection import Selection


class Client:
    """A quakecast server, and a context manager. Methods raise `Problem` (what, and what to do) when the server refuses or is away."""

    def __init__(self, url: str = "http://127.0.0.1:8080", token: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Args:
            url: the server's address.
            token: its bearer token, where it wants one.
            patience_seconds: how long to try again while nobody answers.
        """
        self._connection = Connection(url, token, patience_seconds)

    def stream(
        self,
        topics: Sequence[str] = ("forecasts", "alerts"),
        regions: Sequence[str] = (),
        *,
        include_test: bool = False,
        include_heartbeats: bool = False,
        after: str | None = None,
        start: Instant | str | None = None,
        until_end: bool = False,
        cursor_file: Path | str | None = None,
        min_magnitude: float | None = None,
        min_probability: float | None = None,
        within: str = "1d",
        on_unreadable: Callable[[Unreadable], None] | None = None,
        on_trouble: Callable[[str], None] | None = None,
    ) -> Subscription:
        """The live stream: an iterator of typed records, each once, that connects again when it must and goes on at the exact record.

        Args:
            topics: of which records are wanted: `events`, `forecasts`, `outlooks`, `alerts`, `models`.
            regions: of which; empty for all. What concerns no single region always comes.
            include_test: replays too. They are left out otherwise, and counted in `left_out_tests`.
            include_heartbeats: of events, the heartbeats too.
            after: a cursor, of `Subscription.cursor`, to go on after.
            start: where to begin without a cursor: at a time (ISO 8601 as text), or `beginning`; else with what is new.
            until_end: stop when all that was there at the beginning has come.
            cursor_file: keeps the cursor between runs of the program.
            min_magnitude, min_probability, within: see `stream.selection.Selection`.
            on_unreadable: told each message that is no record of a known schema; the stream goes on.
            on_trouble: told why a connection broke, each time.

        Raises:
            Problem: by iterating, when the server refuses, or cannot be reached at first for as long as patience lasts.
        """
        file = None if cursor_file is None else Path(cursor_file)
        selection = Selection(
            regions, min_magnitude=min_magnitude, min_probability=min_probability, within=within, include_test=include_test,
            include_heartbeats=include_heartbeats, resumed=after is not None or (file is not None and file.exists()),
        )  # fmt: skip
        parameters: dict[str, Any] = {"topics": list(topics), "regions": list(regions) or None, "test": True, "from": start}
        if until_end:
            parameters["until"] = "end"
        return Subscription(
            self._connection, parameters, selection, after=after, cursor_file=file, on_unreadable=on_unreadable, on_trouble=on_trouble
        )

    def close(self) -> None:
        """Release the connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

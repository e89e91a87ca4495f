"""The USGS: its summary feeds, and the list of revisions of its FDSN event service.

The day feed is the first channel: it is polled once a minute, just after it expires, and its polls decide whether the source is alive. The
week and month feeds and the list of revisions are polled more rarely; they hold events that the day feed never shows. An id that disappears
from a feed is looked up at its detail address: status 409 means that the event was deleted, another id that it was merged into that event,
status 200 with the same id that it only left the feed. Status 404 several times in a row counts as deleted.
"""

from __future__ import annotations

import hashlib
import os

from ingest.event import DeadLetter
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.sources.protocol import Channel, LookupResult, PollContext, PollFailed, Reports
from ingest.sources.usgs_geojson import parse_geojson
from ingest.sources.usgs_http import BEGINNING_BYTES, USGS, HttpAnswer, RequestFailed, UsgsServer, detail_path, summary_path, updates_path

MISSING_TIMES_UNTIL_DELETED = 3
"""After so many 404s in a row an event counts as deleted."""
OVERLAP_SECONDS = 600.0
"""Each request for the list of revisions begins this long before the last one, so that no revision falls between two requests."""
OVERLAP_AFTER_A_START_DAYS = 1.0
UPDATES_REACH_DAYS = 35.0

UPDATES = Channel("fdsn_updates", 15, UPDATES_REACH_DAYS, is_complete=False)
CHANNELS = (
    Channel("all_day", 1, 1.0),
    UPDATES,
    Channel("all_week", 15, 7.0),
    Channel("2.5_month", 60, 30.0, minimum_magnitude=2.5),
)


class UsgsSource:
    """The USGS services at one address, as a `Source`.

    Args:
        base_url: address of the USGS services, or of a stand-in.
        contact: the operator's address for the user agent; see `contact`.
    """

    channels = CHANNELS

    def __init__(self, base_url: str = USGS, contact: str | None = None) -> None:
        self._server = UsgsServer(base_url, contact)
        self._missing: dict[str, int] = {}
        """By event id, the number of times in a row that its detail address answered 404."""

    @property
    def address(self) -> str:
        return self._server.base_url

    def poll(self, channel: Channel, context: PollContext) -> Reports:
        """Fetch and parse a feed, or the list of revisions.

        Raises:
            PollFailed: no answer, a status other than 200, or a body that is no feed.
        """
        answer = self._fetch(channel, context)
        fingerprint = hashlib.sha256(answer.body).digest()
        if fingerprint == context.fingerprint:
            return Reports(fingerprint, None, [], [], [], expires_in_seconds=answer.expires_in_seconds)
        payload = parse_geojson(answer.body, channel.name, context.source_time)
        beginning = answer.body[:BEGINNING_BYTES].decode(errors="replace")
        if payload.generated is None:
            trouble = "the body is no feed"
            letters = payload.dead_letters or [_letter("feed_time_damaged", trouble, beginning, channel, context)]
            raise PollFailed("damaged", trouble, None, letters)
        return Reports(
            fingerprint,
            payload.generated,
            payload.events,
            payload.deleted_ids,
            payload.dead_letters,
            beginning,
            answer.expires_in_seconds,
        )

    def look_up(self, event_id: str, channel: Channel, observed_at: Instant) -> LookupResult | None:
        """Look an event up at its detail address."""
        try:
            answer = self._server.get(detail_path(event_id))
        except RequestFailed:
            return None
        detail = parse_geojson(answer.body, channel.name, observed_at) if answer.status == 200 else None
        if answer.status in (404, 410):
            self._missing[event_id] = self._missing.get(event_id, 0) + 1
        is_deleted = answer.status == 409 or self._missing.get(event_id, 0) >= MISSING_TIMES_UNTIL_DELETED
        if is_deleted or (detail and event_id in detail.deleted_ids):
            found = LookupResult(None, f"deleted, says its detail address ({answer.status})")
        elif detail and detail.events:
            found = LookupResult(detail.events[0], "its detail address gives another event")
        else:
            return None
        self._missing.pop(event_id, None)
        return found

    def check(self) -> str:
        """Fetch the feed of the last hour, and describe the answer in a few words.

        Raises:
            RequestFailed: no answer.
            Problem: an answer with a status other than 200.
        """
        answer = self._server.get(summary_path("all_hour"))
        if answer.status != 200:
            raise Problem(f"{self.address} answers with status {answer.status}", "wait, or name another server with --usgs")
        return f"{self.address} answers, {len(answer.body)} bytes"

    def close(self) -> None:
        """Release the connections."""
        self._server.close()

    def _fetch(self, channel: Channel, context: PollContext) -> HttpAnswer:
        try:
            answer = self._server.get(_path(channel, context))
        except RequestFailed as failed:
            beginning = failed.beginning.decode(errors="replace")
            letters = [_letter(failed.reason, failed.detail, beginning, channel, context)] if beginning else []
            raise PollFailed(failed.reason, str(failed), None, letters) from None
        if answer.status != 200:
            raise PollFailed(f"status_{answer.status}", f"HTTP status {answer.status}", answer.retry_after_seconds)
        return answer


def contact() -> str | None:
    """Return the operator's address for the user agent, from the environment variable `QUAKECAST_CONTACT`."""
    return os.environ.get("QUAKECAST_CONTACT")


def _path(channel: Channel, context: PollContext) -> str:
    if channel != UPDATES:
        return summary_path(channel.name)
    now = context.source_time or context.log_time or context.now
    last = context.channel_time or (context.log_time or now).plus(days=-OVERLAP_AFTER_A_START_DAYS)
    return updates_path(last.plus(seconds=-OVERLAP_SECONDS), now.plus(days=-UPDATES_REACH_DAYS))


def _letter(reason: str, detail: str, beginning: str, channel: Channel, context: PollContext) -> DeadLetter:
    return DeadLetter(context.source_time or context.now, channel.name, reason, detail, used=False, payload=beginning)

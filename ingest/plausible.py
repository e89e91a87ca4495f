"""What a record of the input log may hold. Any program may write to a topic; a record that ingest cannot have written is not used.

`implausible` looks at one record alone, `misfit` compares it with the records of its partition before it. Pure.
"""

from __future__ import annotations

import math

from ingest.event import Change, Event, Heartbeat, InputRecord, LogRecord, Outage, Promotion
from ingest.field_values import FIRST_TIME, LAST_TIME
from ingest.instant import Instant

LARGEST_SEQUENCE = 2**53
LONGEST_ID, LONGEST_TEXT = 200, 2_000
LARGEST_MAGNITUDE = 12.0
LONGEST_OUTAGE_SECONDS = 10 * 366 * 86_400.0
MOST_PROMOTED = 10
LARGEST_SEQUENCE_STEP = 1_000_000
"""More records than these are never lost between two: a higher number was not given by ingest."""
LONGEST_TIME_STEP_DAYS = 5 * 366.0
"""A live source is not silent for so long. A clock that far ahead would empty every window and hide all that follows."""


def implausible(record: LogRecord) -> str | None:
    """Return what is wrong with a record, in words for people; None if nothing is."""
    if isinstance(record, Promotion):
        return _promotion(record)
    if not 0 <= record.sequence < LARGEST_SEQUENCE:
        return f"the sequence {record.sequence} is not in 0 … 2⁵³"
    if not FIRST_TIME <= record.observed_at < LAST_TIME:
        return f"the time {record.observed_at} is not in 1900 … 2200"
    if isinstance(record, Heartbeat):
        return None
    if isinstance(record, Outage):
        known = 0.0 <= record.unheard_seconds <= LONGEST_OUTAGE_SECONDS
        return None if known else f"an outage of {record.unheard_seconds:g} s is not possible"
    return _change(record)


def misfit(record: InputRecord, last_sequence: int, clock: Instant | None) -> str | None:
    """Return why a record cannot follow those before it, in words for people; None if it can.

    Args:
        last_sequence: of the partition's records so far; negative if there is none.
        clock: the latest time of those records; None if there is none.
    """
    if last_sequence >= 0 and record.sequence > last_sequence + LARGEST_SEQUENCE_STEP:
        return f"the sequence {record.sequence} is far ahead of {last_sequence}"
    if not record.test and clock is not None and record.observed_at > clock.plus(days=LONGEST_TIME_STEP_DAYS):
        return f"the time {record.observed_at} is years ahead of the partition's clock {clock}"
    return None


def _promotion(promotion: Promotion) -> str | None:
    names = [*promotion.models, *promotion.models.values()]
    if len(promotion.models) > MOST_PROMOTED or max(map(len, names), default=0) > LONGEST_ID or len(promotion.reason) > LONGEST_TEXT:
        return "the promotion names too many models, or has too long a name or reason"
    return None if FIRST_TIME <= promotion.promoted_at < LAST_TIME else f"the time {promotion.promoted_at} is not in 1900 … 2200"


def _change(change: Change) -> str | None:
    if max(len(change.id), len(change.region), len(change.merged_into or "")) > LONGEST_ID:
        return f"an id or region is longer than {LONGEST_ID} characters"
    if change.event is None:
        return None if change.kind in ("deleted", "merged") else f"a change of the kind {change.kind} has no event"
    return "the event has another id than its change" if change.event.id != change.id else _event(change.event)


def _event(event: Event) -> str | None:
    numbers = (event.latitude, event.longitude, event.depth_km or 0.0, event.magnitude or 0.0)
    if not all(map(math.isfinite, numbers)) or abs(event.latitude) > 90.0 or abs(event.longitude) > 180.0:
        return "the event's latitude or longitude is out of range"
    if abs(event.magnitude or 0.0) > LARGEST_MAGNITUDE:
        return f"the magnitude {event.magnitude:g} is not within ±{LARGEST_MAGNITUDE:g}"
    if not all(FIRST_TIME <= moment < LAST_TIME for moment in (event.time, event.updated)):
        return "the event's time is not in 1900 … 2200"
    texts = (event.place, event.type, event.status, event.network, event.magnitude_type, event.source_id, event.url or "")
    longest = max(map(len, (*texts, *event.other_ids)))
    return f"a text of the event is longer than {LONGEST_TEXT} characters" if longest > LONGEST_TEXT else None

"""How far a partition has been folded, and what of it a store keeps."""

from __future__ import annotations

from typing import NamedTuple

from ingest.event import Event
from ingest.instant import Instant
from stream.core.lineup import Lineup
from stream.core.memory import Memory
from stream.core.score import Scoring
from stream.records import LastRevisions

BEGINNING = Instant(-(2**53))


class Position(NamedTuple):
    """How far a partition's records have been folded into its state."""

    offset: int = 0
    """The next offset of the log to take."""
    sequence: int = -1
    """The last record's own number: one that comes again is recognised by it."""
    clock: Instant = BEGINNING
    """The latest time that a source has told."""
    basis: str = ""
    """The worker's own model, its rivals and the region table: with others the state is worth nothing."""
    lineup: Lineup = Lineup()
    """What the promotions among the records before have put in force."""
    alerts: LastRevisions = ()
    """The last revisions of those that concern no single region."""


class SavedRegion(NamedTuple):
    """A region's state as a store keeps it."""

    events: tuple[Event, ...]
    memory: Memory
    due_at: Instant | None
    forecast: bytes | None
    """The latest forecast's record."""
    scoring: Scoring = Scoring()
    alerts: LastRevisions = ()


class RegionChange(NamedTuple):
    """How a region's saved state is to change."""

    written: tuple[Event, ...]
    removed: tuple[str, ...]
    memory: Memory
    due_at: Instant | None
    forecast: bytes | None
    scoring: Scoring = Scoring()
    alerts: LastRevisions = ()

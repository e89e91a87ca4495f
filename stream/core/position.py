"""How far a partition has been folded into its state, and what of the state a store keeps."""

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
    """The next offset of the log to read."""
    sequence: int = -1
    """Number of the last record folded in; a record that is delivered again is recognised by it."""
    clock: Instant = BEGINNING
    """The latest time reported by a source."""
    basis: str = ""
    """Identifies the worker's own model, its rivals and the region table; a state is valid for these only."""
    lineup: Lineup = Lineup()
    """The models in force after the promotions read so far."""
    alerts: LastRevisions = ()
    """The latest revisions of the alerts that concern no single region."""


class SavedRegion(NamedTuple):
    """A region's state as a store keeps it."""

    events: tuple[Event, ...]
    memory: Memory
    due_at: Instant | None
    forecast: bytes | None
    """The latest forecast, encoded."""
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
    window_digest: int | None = None
    """Of the whole window after the change (`stream.core.digest`); None: it is not checked when the region is loaded."""
    memory_before: Memory | None = None
    """The memory that the store holds, of which it keeps what is the same; None: whatever it holds is to be replaced."""

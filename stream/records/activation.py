"""The record of the outcome of a promotion in one partition, or of the takeover from models that failed, in the models topic."""

from __future__ import annotations

import msgspec

from ingest.event import Promotion
from ingest.instant import Instant


class Activation(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.activation/1"):
    """From which record on which model is in force in one partition, or why a promotion was refused."""

    partition: int
    offset: int
    """Offset of the promotion in the input log."""
    after_sequence: int
    """Sequence of the last record before it; unlike offsets it is the same in a copy of the log."""
    at: Instant
    """The stream's time."""
    model: str
    """The model in force from here on; after a refusal, the one that was in force before."""
    promotion: Promotion
    refused: str | None = None
    failed: dict[str, str] | None = None
    """By kind, the models that could not forecast in force and gave way. Then `promotion` is no mark of the input: its models (without any,
    the worker's own) are in force from the record after `after_sequence` on, and its reason says what failed."""

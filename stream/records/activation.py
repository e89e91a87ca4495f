"""The record of the outcome of a promotion in one partition, in the models topic."""

from __future__ import annotations

import msgspec

from ingest.event import Promotion
from ingest.instant import Instant


class Activation(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.activation/1"):
    """The result of a promotion in one partition: from which record on which model is in force, or why it was refused."""

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

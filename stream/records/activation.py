"""What a promotion led to: a record of the models topic."""

from __future__ import annotations

import msgspec

from ingest.event import Promotion
from ingest.instant import Instant


class Activation(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.activation/1"):
    """What a promotion led to in one partition: from which record on which model is in force, or why it was refused."""

    partition: int
    offset: int
    """Of the promotion in the input log."""
    after_sequence: int
    """The last record before it: survives a copy of the log, in which offsets may differ."""
    at: Instant
    """The stream's time."""
    model: str
    """Who forecasts from here on: after a refusal, who did before."""
    promotion: Promotion
    refused: str | None = None

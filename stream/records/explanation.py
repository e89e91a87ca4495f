"""Why a forecast is what it is, as it is told: which past events hold which share of the rate, and which inputs moved it."""

from __future__ import annotations

import msgspec

from ingest.instant import Instant


class Contribution(msgspec.Struct, frozen=True):
    """A past event's part of the rate."""

    time: Instant
    latitude: float
    longitude: float
    magnitude: float
    share: float
    """Of the kernels' rate now, 0 … 1."""


class Influence(msgspec.Struct, frozen=True):
    """An input's part in how far the forecast is from that of average inputs."""

    name: str
    effect: float
    """In natural logarithms."""


class Explanation(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.explanation/1"):
    """Why a region's forecast is what it is at one moment."""

    region: str
    at: Instant
    rate_per_day: float
    """λ, what the kernels say."""
    background_share: float
    older_share: float
    """Of all events before the last `reach`."""
    events: list[Contribution]
    """The largest shares first."""
    last_event: list[Influence]
    """On ln of the events that the last event is expected to bring; beside them `average`, that of average inputs."""
    memory: list[Influence]
    """On E[ln X], how much longer than the kernels the memory expects the wait to be; beside them `average`."""

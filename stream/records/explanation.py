"""The record that explains a forecast: the share of the rate that each past event contributes, and the effect of the inputs."""

from __future__ import annotations

import msgspec

from ingest.instant import Instant


class Contribution(msgspec.Struct, frozen=True):
    """The contribution of a past event to the rate."""

    time: Instant
    latitude: float
    longitude: float
    magnitude: float
    share: float
    """Share of the kernels' present rate, 0 … 1."""


class Influence(msgspec.Struct, frozen=True):
    """The contribution of an input to the difference from a forecast with average inputs."""

    name: str
    effect: float
    """In natural logarithms."""


class Explanation(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.explanation/1"):
    """Explains a region's forecast at one moment."""

    region: str
    at: Instant
    rate_per_day: float
    """λ, the kernels' rate."""
    background_share: float
    older_share: float
    """Share of all events before the last `reach` ones."""
    events: list[Contribution]
    """The largest shares first."""
    last_event: list[Influence]
    """Effects on ln of the number of events that the last event is expected to trigger; `average` is its value for average inputs."""
    memory: list[Influence]
    """Effects on E[ln X]: how much longer than the kernels the memory expects the wait to be; `average` is its value for average inputs."""
    test: bool = False
    """True when the forecast is not live."""

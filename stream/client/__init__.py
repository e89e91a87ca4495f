"""A typed client of the HTTP API, and the records that it returns."""

from __future__ import annotations

from ingest.event import Change, DeadLetter, Event, Heartbeat, Outage, Promotion
from ingest.instant import Instant
from ingest.problem import Problem
from stream.client.client import Client
from stream.client.subscription import Subscription, Unreadable
from stream.records import (
    Activation,
    Alert,
    AnyRecord,
    CameSince,
    Explanation,
    Forecast,
    GriddedForecast,
    KnownEvent,
    MapCells,
    Models,
    OneRegion,
    Outcome,
    RegionNow,
    RegionOutlook,
    Score,
    Scores,
    Status,
    counts_since,
    decode_record,
    probability_of_any,
    share_from,
)

__all__ = [
    "Activation",
    "Alert",
    "AnyRecord",
    "CameSince",
    "Change",
    "Client",
    "DeadLetter",
    "Event",
    "Explanation",
    "Forecast",
    "GriddedForecast",
    "Heartbeat",
    "Instant",
    "KnownEvent",
    "MapCells",
    "Models",
    "OneRegion",
    "Outage",
    "Outcome",
    "Problem",
    "Promotion",
    "RegionNow",
    "RegionOutlook",
    "Score",
    "Scores",
    "Status",
    "Subscription",
    "Unreadable",
    "counts_since",
    "decode_record",
    "probability_of_any",
    "share_from",
]

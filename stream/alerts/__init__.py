"""Rules over forecasts and events, and the life of an alert."""

from __future__ import annotations

from stream.alerts.intervals import rules_of
from stream.alerts.lifecycle import after_change, after_forecast, after_heartbeat, after_outage, keep_last_revisions
from stream.alerts.revision import Origin
from stream.alerts.rules import Rule, load_rules
from stream.alerts.values import Situation

__all__ = [
    "Origin",
    "Rule",
    "Situation",
    "after_change",
    "after_forecast",
    "after_heartbeat",
    "after_outage",
    "keep_last_revisions",
    "load_rules",
    "rules_of",
]

"""Which rules apply to a record, and whether an alert may be revised again. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.instant import Instant
from stream.alerts.revision import Origin
from stream.alerts.rules import Rule
from stream.records import Alert


def rules_of_kind(rules: Iterable[Rule], kind: str, origin: Origin) -> list[Rule]:
    """Return the rules of a kind that apply to the region of a record."""
    return [rule for rule in rules if rule.kind == kind and (not rule.regions or origin.region in rule.regions)]


def is_interval_over(last: Alert | None, rule: Rule, now: Instant) -> bool:
    """Return whether the minimum interval since the last revision is over; it does not apply after a retraction."""
    return last is None or last.alert_type == "retraction" or now >= last.issued_at.plus(seconds=60.0 * rule.minimum_interval_minutes)

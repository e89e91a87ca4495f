"""Which rules apply to a record, and whether an alert may be revised again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ingest.instant import Instant
from stream.alerts.rules import NEEDED, Rule
from stream.records import Alert

RulesByKind = Mapping[str, tuple[Rule, ...]]


def rules_of(region: str | None, rules: Iterable[Rule]) -> RulesByKind:
    """Return the rules that apply to a region, by kind; None: those of records that concern no single region."""
    applied = [rule for rule in rules if not rule.regions or region in rule.regions]
    return {kind: tuple(rule for rule in applied if rule.kind == kind) for kind in NEEDED}


def is_interval_over(last: Alert | None, rule: Rule, now: Instant) -> bool:
    """Return whether the minimum interval since the last revision is over; it does not apply after a retraction."""
    return last is None or last.alert_type == "retraction" or now >= last.issued_at.plus(seconds=60.0 * rule.minimum_interval_minutes)

"""How each revision of an alert follows from the one before. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ingest.instant import Instant
from stream.alerts.rules import Rule
from stream.alerts.values import RuleValue
from stream.records import Alert, rounded


class Origin(NamedTuple):
    """The record that a revision comes from."""

    partition: int
    sequence: int
    at: Instant
    region: str | None
    name: str
    """The region's name, for people."""
    test: bool


def initial(rule: Rule, rule_value: RuleValue, origin: Origin, forecast: str | None, model: str | None = None) -> Alert:
    """Return the first revision of an alert."""
    return Alert(
        id=f"{rule.name}:{origin.region or 'all'}:{origin.partition}-{origin.sequence}",
        revision=0,
        alert_type="initial",
        supersedes=None,
        rule=rule.name,
        kind=rule.kind,
        region=origin.region,
        issued_at=origin.at,
        expires_at=origin.at.plus(hours=rule.expires_hours),
        active=True,
        headline=f"{origin.name}: {rule_value.text}",
        reason=_threshold(rule),
        value=rounded(rule_value.value),
        threshold=rule.threshold,
        magnitude=rule.magnitude,
        within=rule.within,
        forecast=forecast,
        events=list(rule_value.events),
        model=model,
        input_partition=origin.partition,
        input_sequence=origin.sequence,
        test=origin.test,
    )


def _threshold(rule: Rule) -> str:
    return f"rule {rule.name}: {'at least' if rule.at_least is not None else 'at most'} {rule.threshold:g}"


def revision(alert: Alert, origin: Origin, reason: str) -> Alert:
    """Return a revision with the same content, renewed."""
    return msgspec.structs.replace(
        alert,
        revision=alert.revision + 1,
        alert_type="update",
        supersedes=f"{alert.id}.{alert.revision}",
        issued_at=origin.at,
        reason=reason,
        input_partition=origin.partition,
        input_sequence=origin.sequence,
        test=origin.test,
    )


def update(
    alert: Alert, origin: Origin, rule: Rule, reason: str, rule_value: RuleValue | None, forecast: str | None = None, *, active: bool = True
) -> Alert:
    """Return the update of an alert with its present value: it continues, or it ends."""
    after = msgspec.structs.replace(
        revision(alert, origin, reason),
        active=active,
        expires_at=origin.at.plus(hours=rule.expires_hours) if active else origin.at,
        forecast=forecast or alert.forecast,
    )
    if rule_value is None:
        return after
    headline = f"{origin.name}: {rule_value.text}"
    return msgspec.structs.replace(after, headline=headline, value=rounded(rule_value.value), events=list(rule_value.events))


def retraction(alert: Alert, origin: Origin, rule: Rule, reason: str, rule_value: RuleValue | None, forecast: str | None) -> Alert:
    """Return the retraction of an alert that was based on wrong information."""
    ended = update(alert, origin, rule, reason, None, forecast, active=False)
    last_value = alert.value if rule_value is None else rounded(rule_value.value)
    return msgspec.structs.replace(ended, alert_type="retraction", headline=f"Retracted: {alert.headline}", value=last_value)

"""How each revision of an alert follows from the one before. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ingest.event import WhyNotLive
from ingest.instant import Instant
from stream.alerts.rules import Rule
from stream.alerts.values import Account, RuleValue
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
    why_not_live: WhyNotLive | None = None


def initial(rule: Rule, rule_value: RuleValue, origin: Origin, reason: str, forecast: str | None, model: str | None = None) -> Alert:
    """Return the first revision of an alert."""
    account = rule_value.account()
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
        headline=_headline(rule, account, origin),
        reason=reason,
        value=rounded(rule_value.value),
        threshold=rule.threshold,
        magnitude=rule.magnitude,
        within=rule.within,
        forecast=forecast,
        events=list(account.events),
        model=model,
        input_partition=origin.partition,
        input_sequence=origin.sequence,
        test=origin.test,
        why_not_live=origin.why_not_live,
        description=account.description,
        began_at=origin.at,
        earthquake=account.earthquake,
    )


def _headline(rule: Rule, account: Account, origin: Origin) -> str:
    """Return the headline: that of an earthquake has its place, all others begin with the region."""
    return account.headline if rule.kind == "magnitude" else f"{origin.name}: {account.headline}"


def revision(alert: Alert, origin: Origin, reason: str) -> Alert:
    """Return a revision with the same content, renewed. What is not live stays so."""
    return msgspec.structs.replace(
        alert,
        revision=alert.revision + 1,
        alert_type="update",
        supersedes=f"{alert.id}.{alert.revision}",
        issued_at=origin.at,
        reason=reason,
        input_partition=origin.partition,
        input_sequence=origin.sequence,
        test=alert.test or origin.test,
        why_not_live=origin.why_not_live or alert.why_not_live,
    )


def update(alert: Alert, origin: Origin, rule: Rule, reason: str, rule_value: RuleValue, forecast: str | None = None) -> Alert:
    """Return the update of an alert that continues, with its present value."""
    account = rule_value.account()
    return msgspec.structs.replace(
        revision(alert, origin, reason),
        expires_at=origin.at.plus(hours=rule.expires_hours),
        forecast=forecast or alert.forecast,
        headline=_headline(rule, account, origin),
        description=account.description,
        value=rounded(rule_value.value),
        events=list(account.events),
        earthquake=account.earthquake,
    )


def ended(alert: Alert, origin: Origin, rule: Rule, reason: str, rule_value: RuleValue, forecast: str | None = None) -> Alert:
    """Return the last update of an alert whose condition no longer holds."""
    last = update(alert, origin, rule, reason, rule_value, forecast)
    return msgspec.structs.replace(last, active=False, expires_at=origin.at, headline=f"Ended: {last.headline}")


def closed(alert: Alert, origin: Origin, headline: str, reason: str) -> Alert:
    """Return the last update of an alert that ends although nothing was wrong: its earthquake goes on elsewhere, or the source is back."""
    return msgspec.structs.replace(revision(alert, origin, reason), active=False, expires_at=origin.at, headline=headline, description="")


def retraction(alert: Alert, origin: Origin, reason: str, rule_value: RuleValue | None = None, forecast: str | None = None) -> Alert:
    """Return the retraction of an alert whose earthquake, or the one that its forecast was based on, does not exist."""
    return msgspec.structs.replace(
        revision(alert, origin, reason),
        alert_type="retraction",
        active=False,
        expires_at=origin.at,
        headline=f"Retracted: {alert.headline}",
        description="Disregard the earlier messages of this alert.",
        value=alert.value if rule_value is None else rounded(rule_value.value),
        forecast=forecast or alert.forecast,
    )

"""The life of alerts: rules are applied to the latest record and to the last revisions. Pure: last revisions in, new revisions out.

                 begins            changed by a factor, and the        no longer holds
    value ──────────┬──────────────  minimum interval is over  ──────────────┬──────────▶ time
                 initial                 update    update (renewed)    update, not active
                                                │
                     an event that it is based on was deleted: update without it, or, if the condition no longer holds, retraction

An alert's next revision depends on its last one and on nothing older, so the last revisions are the whole state. Alerts of earthquakes
themselves are in `stream.alerts.earthquakes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.event import Change, Outage
from ingest.instant import Instant
from stream.alerts import reasons
from stream.alerts.earthquakes import alerts_of_the_past, magnitude_alerts, replace_merged_id, revise_waiting
from stream.alerts.intervals import RulesByKind, is_interval_over
from stream.alerts.revision import Origin, closed, ended, initial, retraction, update
from stream.alerts.rules import Rule
from stream.alerts.values import VALUES, RuleValue, Situation, silence
from stream.alerts.wording import duration
from stream.records import Alert, LastRevisions

LAST_REVISION_DAYS = 30.0
"""Days for which the last revision of an alert is kept: until then the deletion of an event retracts the alert that is based on it."""
RENEWED_AFTER = 0.75
"""Share of an alert's life after which it is renewed if its condition still holds, so that it does not expire."""


def after_change(last_revisions: LastRevisions, rules: RulesByKind, change: Change, origin: Origin) -> list[Alert]:
    """Apply the magnitude rules to an event that was added, revised, deleted or merged; replace merged ids in all alerts."""
    issued = [
        replace_merged_id(alert, change, last_revisions, origin)
        for alert in last_revisions
        if change.kind == "merged" and change.id in alert.events and alert.alert_type != "retraction"
    ]
    for rule in rules["magnitude"]:
        issued += magnitude_alerts(last_revisions, rule, change, origin)
    return issued


def after_forecast(
    last_revisions: LastRevisions, rules: RulesByKind, situation: Situation, change: Change | None, origin: Origin
) -> list[Alert]:
    """Apply the rules for probabilities, counts and scores to a new forecast.

    Args:
        change: the change that led to the forecast; None for a heartbeat.
    """
    issued = [
        one
        for alert in last_revisions
        for rule in rules["magnitude"]
        if alert.rule == rule.name
        for one in revise_waiting(alert, rule, situation.window, origin)
    ]
    for rule in rules["magnitude"]:
        issued += alerts_of_the_past(last_revisions, rule, situation.window, origin)
    if change is not None and change.kind == "merged":
        return issued  # its successor comes with the next record; until then the alert continues
    for kind, value_of in VALUES.items():
        for rule in rules[kind]:
            if (rule_value := value_of(rule, situation)) is not None:
                issued += _apply_rule(last_revisions, rule, rule_value, situation, change, origin)
    return issued


def after_outage(last_revisions: LastRevisions, rules: RulesByKind, outage: Outage, origin: Origin) -> list[Alert]:
    """Apply the rules for the source when it has been silent."""
    issued: list[Alert] = []
    for rule in rules["feed"]:
        rule_value, live = silence(outage), _live(last_revisions, rule, origin.at)
        if live is None and rule.begins(rule_value.value):
            issued.append(initial(rule, rule_value, origin, reasons.begins(rule, rule_value.value), None))
        elif live is not None and is_interval_over(live, rule, origin.at):
            issued.append(update(live, origin, rule, reasons.changes(rule, live, rule_value.value), rule_value))
    return issued


def after_heartbeat(last_revisions: LastRevisions, rules: RulesByKind, origin: Origin) -> list[Alert]:
    """Apply the rules for the source when it reports again."""
    live = [alert for rule in rules["feed"] for alert in last_revisions if alert.rule == rule.name and alert.active]
    return [
        closed(alert, origin, f"{origin.name}: heard again", f"The source reports again, after {duration(alert.value or 0.0)} or more.")
        for alert in live
    ]


def keep_last_revisions(last_revisions: LastRevisions, issued: Sequence[Alert], now: Instant) -> LastRevisions:
    """Return the last revisions after new ones were issued, without those that ended long ago."""
    if not last_revisions and not issued:
        return ()
    by_id = {alert.id: alert for alert in last_revisions} | {alert.id: alert for alert in issued}
    since = now.plus(days=-LAST_REVISION_DAYS)
    return tuple(alert for alert in by_id.values() if max(alert.issued_at, alert.expires_at) >= since)


def _apply_rule(
    last_revisions: LastRevisions, rule: Rule, rule_value: RuleValue, situation: Situation, change: Change | None, origin: Origin
) -> list[Alert]:  # fmt: skip
    live, forecast, value = _live(last_revisions, rule, origin.at), situation.forecast.id, rule_value.value
    if live is None:
        may_begin = rule.begins(value) and is_interval_over(_last(last_revisions, rule), rule, origin.at)
        return [initial(rule, rule_value, origin, reasons.begins(rule, value), forecast, situation.forecast.model)] if may_begin else []
    withdrawn = change if change is not None and change.kind == "deleted" and change.id in live.events else None
    if not rule.continues(value):
        if withdrawn is not None:
            return [retraction(live, origin, reasons.without(rule, live, withdrawn, value), rule_value, forecast)]
        return [ended(live, origin, rule, reasons.ends(rule, live, value), rule_value, forecast)]
    if (reason := _reason_to_revise(live, rule, value, withdrawn, origin)) is None:
        return []
    return [update(live, origin, rule, reason, rule_value, forecast)]


def _reason_to_revise(live: Alert, rule: Rule, value: float, withdrawn: Change | None, origin: Origin) -> str | None:
    """Return why an alert that continues is revised; None if it is not."""
    if withdrawn is not None:
        return reasons.without(rule, live, withdrawn, value)
    if not is_interval_over(live, rule, origin.at):
        return None
    if _has_changed(live.value, value, rule.change):
        return reasons.changes(rule, live, value)
    is_old = origin.at >= live.issued_at.plus(hours=RENEWED_AFTER * rule.expires_hours)
    return reasons.continues(rule, value) if is_old else None


def _last(last_revisions: LastRevisions, rule: Rule) -> Alert | None:
    return next((alert for alert in reversed(last_revisions) if alert.rule == rule.name), None)


def _live(last_revisions: LastRevisions, rule: Rule, now: Instant) -> Alert | None:
    last = _last(last_revisions, rule)
    return last if last is not None and last.active and last.expires_at > now else None


def _has_changed(before: float | None, now: float, factor: float) -> bool:
    low, high = sorted((max(abs(before or 0.0), 1e-12), max(abs(now), 1e-12)))
    return high >= factor * low

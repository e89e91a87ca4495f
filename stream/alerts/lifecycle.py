"""The life of alerts: rules are applied to the latest record and to the last revisions. Pure: last revisions in, new revisions out.

                 begins            changed by a factor, and the        no longer holds
    value ──────────┬──────────────  minimum interval is over  ──────────────┬──────────▶ time
                 initial                 update    update (renewed)    update, not active
                                                │
                     an event that it is based on was deleted: update without it, or, if the condition no longer holds, retraction

An alert's next revision depends on its last one and on nothing older, so the last revisions are the whole state.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ingest.event import EARTHQUAKE, Change, Event, Outage
from ingest.instant import Instant
from stream.alerts.revision import Origin, initial, retraction, revision, update
from stream.alerts.rules import Rule
from stream.alerts.values import VALUES, RuleValue, Situation
from stream.core import Window
from stream.records import Alert, LastRevisions

LAST_REVISION_DAYS = 30.0
"""Days for which the last revision of an alert is kept: until then the deletion of an event retracts the alert that is based on it."""
RENEWED_AFTER = 0.75
"""Share of an alert's life after which it is renewed if its condition still holds, so that it does not expire."""
MAGNITUDE_STEP = 0.1 - 1e-9


def after_change(last_revisions: LastRevisions, rules: Iterable[Rule], change: Change, origin: Origin) -> list[Alert]:
    """Apply the magnitude rules to an event that was added, revised, deleted or merged; replace merged ids in all alerts."""
    issued = [
        _replace_merged_id(alert, change, last_revisions, origin)
        for alert in last_revisions
        if change.kind == "merged" and change.id in alert.events
    ]
    for rule in _rules_of_kind(rules, "magnitude", origin):
        last = _alert_of_event(last_revisions, rule, change)
        if last is None or last.alert_type == "retraction":
            issued += _first_revision(rule, change.event, origin) if change.event is not None else []
        elif change.kind != "merged":
            issued += _next_revision(last, rule, change.event, origin, change.reason)
    return issued


def after_forecast(
    last_revisions: LastRevisions, rules: Iterable[Rule], situation: Situation, change: Change | None, origin: Origin
) -> list[Alert]:
    """Apply the rules for probabilities, counts and scores to a new forecast.

    Args:
        change: the change that led to the forecast; None for a heartbeat.
    """
    issued = [
        one
        for alert in last_revisions
        for rule in rules
        if alert.rule == rule.name
        for one in _renew_magnitude(alert, rule, situation.window, origin)
    ]
    if change is not None and change.kind == "merged":
        return issued  # its successor comes with the next record; until then the alert continues
    for rule in rules:
        if rule.kind in VALUES and _concerns(rule, origin) and (rule_value := VALUES[rule.kind](rule, situation)) is not None:
            issued += _apply_rule(last_revisions, rule, rule_value, situation, change, origin)
    return issued


def after_outage(last_revisions: LastRevisions, rules: Iterable[Rule], outage: Outage, origin: Origin) -> list[Alert]:
    """Apply the rules for the source when it has been silent."""
    issued: list[Alert] = []
    for rule in _rules_of_kind(rules, "feed", origin):
        text = f"{outage.source} unheard for {outage.unheard_seconds:.0f} s: {outage.trouble}"
        rule_value, live = RuleValue(outage.unheard_seconds, (), text), _live(last_revisions, rule, origin.at)
        if live is None and rule.begins(rule_value.value):
            issued.append(initial(rule, rule_value, origin, None))
        elif live is not None and _is_interval_over(live, rule, origin.at):
            issued.append(update(live, origin, rule, "still unheard", rule_value))
    return issued


def after_heartbeat(last_revisions: LastRevisions, rules: Iterable[Rule], origin: Origin) -> list[Alert]:
    """Apply the rules for the source when it reports again."""
    live = [
        (rule, alert)
        for rule in _rules_of_kind(rules, "feed", origin)
        for alert in last_revisions
        if alert.rule == rule.name and alert.active
    ]
    return [update(alert, origin, rule, "heard again", None, active=False) for rule, alert in live]


def keep_last_revisions(last_revisions: LastRevisions, issued: Iterable[Alert], now: Instant) -> LastRevisions:
    """Return the last revisions after new ones were issued, without those that ended long ago."""
    by_id = {alert.id: alert for alert in last_revisions} | {alert.id: alert for alert in issued}
    since = now.plus(days=-LAST_REVISION_DAYS)
    return tuple(alert for alert in by_id.values() if max(alert.issued_at, alert.expires_at) >= since)


def _apply_rule(
    last_revisions: LastRevisions, rule: Rule, rule_value: RuleValue, situation: Situation, change: Change | None, origin: Origin
) -> list[Alert]:  # fmt: skip
    live, forecast = _live(last_revisions, rule, origin.at), situation.forecast.id
    if live is None:
        may_begin = rule.begins(rule_value.value) and _is_interval_over(_last(last_revisions, rule), rule, origin.at)
        return [initial(rule, rule_value, origin, forecast, situation.forecast.model)] if may_begin else []
    was_withdrawn = change is not None and change.id in live.events and change.kind != "added"
    if not rule.continues(rule_value.value):
        if was_withdrawn and change is not None:
            return [retraction(live, origin, rule, _reason(change), rule_value, forecast)]
        return [update(live, origin, rule, "it no longer holds", rule_value, forecast, active=False)]
    if was_withdrawn and change is not None and change.kind == "deleted":
        return [update(live, origin, rule, f"{_reason(change)}; it holds without it", rule_value, forecast)]
    if not _is_interval_over(live, rule, origin.at):
        return []
    if _has_changed(live.value, rule_value.value, rule.change):
        return [update(live, origin, rule, f"the value was {live.value:.3g}", rule_value, forecast)]
    if origin.at >= live.issued_at.plus(hours=RENEWED_AFTER * rule.expires_hours):
        return [update(live, origin, rule, "it goes on", rule_value, forecast)]
    return []


def _first_revision(rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    is_recent = event.time >= origin.at.plus(hours=-rule.expires_hours)
    is_large = event.type == EARTHQUAKE and event.magnitude is not None and rule.begins(event.magnitude)
    return [initial(rule, _value_of_event(event), origin, None)] if is_recent and is_large else []


def _next_revision(last: Alert, rule: Rule, event: Event | None, origin: Origin, reason: str | None) -> list[Alert]:
    if event is None:
        return [retraction(last, origin, rule, f"{last.events[0]} was deleted" + (f" ({reason})" if reason else ""), None, None)]
    if event.type != EARTHQUAKE:
        return [retraction(last, origin, rule, f"it is a {event.type}", None, None)]
    if event.magnitude is None or not rule.continues(event.magnitude):
        return [retraction(last, origin, rule, f"revised to M {event.magnitude}", None, None)]
    return _revise_magnitude(last, rule, event, origin)


def _renew_magnitude(alert: Alert, rule: Rule, window: Window, origin: Origin) -> list[Alert]:
    """Revise a magnitude alert whose event was revised earlier, within the minimum interval."""
    event = window.find(alert.events[0]) if rule.kind == "magnitude" and alert.active and alert.events else None
    return [] if event is None else _revise_magnitude(alert, rule, event, origin)


def _revise_magnitude(last: Alert, rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    is_over = not last.active or last.expires_at <= origin.at
    has_moved = abs((event.magnitude or 0.0) - (last.value or 0.0)) >= MAGNITUDE_STEP or event.id != last.events[0]
    if is_over or not has_moved or not _is_interval_over(last, rule, origin.at):
        return []
    revised = update(last, origin, rule, f"M {last.value:g} before", _value_of_event(event))
    return [msgspec.structs.replace(revised, expires_at=last.expires_at)]  # it concerns one earthquake, which no revision makes more recent


def _replace_merged_id(alert: Alert, change: Change, last_revisions: LastRevisions, origin: Origin) -> Alert:
    """Return the alert after the id of an event that it is based on was merged into another."""
    renamed = [change.merged_into if event == change.id else event for event in alert.events]
    events = list(dict.fromkeys(event for event in renamed if event))
    twin = next((one for one in last_revisions if one.id != alert.id and one.rule == alert.rule and one.events[:1] == events[:1]), None)
    reason = f"{change.id} is now {change.merged_into}" if change.merged_into else f"{change.id} was given up"
    is_double = alert.kind == "magnitude" and twin is not None and twin.alert_type != "retraction"
    return msgspec.structs.replace(
        revision(alert, origin, f"{reason}, of which alert {twin.id} tells" if is_double and twin else reason),
        events=events,
        active=alert.active and not is_double,
        expires_at=origin.at if is_double else alert.expires_at,
    )


def _value_of_event(event: Event) -> RuleValue:
    depth = "" if event.depth_km is None else f", {event.depth_km:.0f} km deep"
    return RuleValue(event.magnitude or 0.0, (event.id,), f"M {event.magnitude:g} at {event.time}, {event.place or 'place unnamed'}{depth}")


def _reason(change: Change) -> str:
    reason = f" ({change.reason})" if change.reason else ""
    return f"{change.id} was deleted{reason}" if change.event is None else f"{change.id} was revised to M {change.event.magnitude}"


def _rules_of_kind(rules: Iterable[Rule], kind: str, origin: Origin) -> list[Rule]:
    return [rule for rule in rules if rule.kind == kind and _concerns(rule, origin)]


def _concerns(rule: Rule, origin: Origin) -> bool:
    return not rule.regions or origin.region in rule.regions


def _alert_of_event(last_revisions: LastRevisions, rule: Rule, change: Change) -> Alert | None:
    ids = {change.id, *(change.event.other_ids if change.event is not None else ())}
    return next((alert for alert in reversed(last_revisions) if alert.rule == rule.name and ids & set(alert.events)), None)


def _last(last_revisions: LastRevisions, rule: Rule) -> Alert | None:
    return next((alert for alert in reversed(last_revisions) if alert.rule == rule.name), None)


def _live(last_revisions: LastRevisions, rule: Rule, now: Instant) -> Alert | None:
    last = _last(last_revisions, rule)
    return last if last is not None and last.active and last.expires_at > now else None


def _is_interval_over(last: Alert | None, rule: Rule, now: Instant) -> bool:
    """Return whether the minimum interval since the last revision is over; it does not apply after a retraction."""
    return last is None or last.alert_type == "retraction" or now >= last.issued_at.plus(seconds=60.0 * rule.minimum_interval_minutes)


def _has_changed(before: float | None, now: float, factor: float) -> bool:
    low, high = sorted((max(abs(before or 0.0), 1e-12), max(abs(now), 1e-12)))
    return high >= factor * low

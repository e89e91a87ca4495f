"""The life of alerts: rules over what was just said, and over what was said of them before. Pure: the last revisions in, new revisions out.

                 begins            changed by a factor, and the        goes_on no more
    value ──────────┬──────────────  minimum interval is over  ──────────────┬──────────▶ time
                 initial                 update    update (renewed)    update, not active
                                                │
                     an event that it rests on was deleted: update without it, or, if it no longer holds, retraction

All that an alert's next revision depends on stands in its last one, so those are the whole state.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ingest.event import EARTHQUAKE, Change, Event, Outage
from ingest.instant import Instant
from stream.alerts.revision import Origin, following, initial, retraction, revision
from stream.alerts.rules import Rule
from stream.alerts.values import VALUES, Found, Situation
from stream.core import Window
from stream.records import Alert, LastRevisions

KEPT_DAYS = 30.0
"""So long a last revision is remembered: until then a deleted event still retracts what rested on it."""
RENEWED_AFTER = 0.75
"""Of its life: an alert that goes on is said again before it expires."""
MAGNITUDE_STEP = 0.1 - 1e-9


def after_change(kept: LastRevisions, rules: Iterable[Rule], change: Change, origin: Origin) -> list[Alert]:
    """What the magnitude rules say of an event that was seen, revised, deleted or merged; and merged ids in all alerts."""
    issued = [_followed(alert, change, kept, origin) for alert in kept if change.kind == "merged" and change.id in alert.events]
    for rule in _of(rules, "magnitude", origin):
        known = _of_event(kept, rule, change)
        if known is None or known.alert_type == "retraction":
            issued += _begun_by(rule, change.event, origin) if change.event is not None else []
        elif change.kind != "merged":
            issued += _revised_by(known, rule, change.event, origin, change.reason)
    return issued


def after_forecast(kept: LastRevisions, rules: Iterable[Rule], situation: Situation, change: Change | None, origin: Origin) -> list[Alert]:
    """What the rules over forecasts, counts and scores say of a new forecast.

    Args:
        change: what brought it; none for a heartbeat.
    """
    issued = [one for alert in kept for rule in rules if alert.rule == rule.name for one in _still(alert, rule, situation.window, origin)]
    if change is not None and change.kind == "merged":
        return issued  # its successor comes with the next record; until then nothing has ended
    for rule in rules:
        if rule.kind in VALUES and _concerns(rule, origin) and (found := VALUES[rule.kind](rule, situation)) is not None:
            issued += _judged(kept, rule, found, situation, change, origin)
    return issued


def after_outage(kept: LastRevisions, rules: Iterable[Rule], outage: Outage, origin: Origin) -> list[Alert]:
    """The source is unheard."""
    issued: list[Alert] = []
    for rule in _of(rules, "feed", origin):
        text = f"{outage.source} unheard for {outage.unheard_seconds:.0f} s: {outage.trouble}"
        found, live = Found(outage.unheard_seconds, (), text), _live(kept, rule, origin.at)
        if live is None and rule.begins(found.value):
            issued.append(initial(rule, found, origin, None))
        elif live is not None and _rested(live, rule, origin.at):
            issued.append(following(live, origin, rule, "still unheard", found))
    return issued


def after_heartbeat(kept: LastRevisions, rules: Iterable[Rule], origin: Origin) -> list[Alert]:
    """The source is heard again."""
    live = [(rule, alert) for rule in _of(rules, "feed", origin) for alert in kept if alert.rule == rule.name and alert.active]
    return [following(alert, origin, rule, "heard again", None, active=False) for rule, alert in live]


def remembered(kept: LastRevisions, issued: Iterable[Alert], now: Instant) -> LastRevisions:
    """The last revisions after some more; what is long over is forgotten."""
    by_id = {alert.id: alert for alert in kept} | {alert.id: alert for alert in issued}
    since = now.plus(days=-KEPT_DAYS)
    return tuple(alert for alert in by_id.values() if max(alert.issued_at, alert.expires_at) >= since)


def _judged(
    kept: LastRevisions, rule: Rule, found: Found, situation: Situation, change: Change | None, origin: Origin
) -> list[Alert]:  # fmt: skip
    live, forecast = _live(kept, rule, origin.at), situation.forecast.id
    if live is None:
        ready = rule.begins(found.value) and _rested(_last(kept, rule), rule, origin.at)
        return [initial(rule, found, origin, forecast, situation.forecast.model)] if ready else []
    withdrawn = change is not None and change.id in live.events and change.kind != "added"
    if not rule.goes_on(found.value):
        if withdrawn and change is not None:
            return [retraction(live, origin, rule, _why(change), found, forecast)]
        return [following(live, origin, rule, "it no longer holds", found, forecast, active=False)]
    if withdrawn and change is not None and change.kind == "deleted":
        return [following(live, origin, rule, f"{_why(change)}; it holds without it", found, forecast)]
    if not _rested(live, rule, origin.at):
        return []
    if _changed(live.value, found.value, rule.change):
        return [following(live, origin, rule, f"the value was {live.value:.3g}", found, forecast)]
    if origin.at >= live.issued_at.plus(hours=RENEWED_AFTER * rule.expires_hours):
        return [following(live, origin, rule, "it goes on", found, forecast)]
    return []


def _begun_by(rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    young = event.time >= origin.at.plus(hours=-rule.expires_hours)
    large = event.type == EARTHQUAKE and event.magnitude is not None and rule.begins(event.magnitude)
    return [initial(rule, _seen(event), origin, None)] if young and large else []


def _revised_by(known: Alert, rule: Rule, event: Event | None, origin: Origin, reason: str | None) -> list[Alert]:
    if event is None:
        return [retraction(known, origin, rule, f"{known.events[0]} was deleted" + (f" ({reason})" if reason else ""), None, None)]
    if event.type != EARTHQUAKE:
        return [retraction(known, origin, rule, f"it is a {event.type}", None, None)]
    if event.magnitude is None or not rule.goes_on(event.magnitude):
        return [retraction(known, origin, rule, f"revised to M {event.magnitude}", None, None)]
    return _moved(known, rule, event, origin)


def _still(alert: Alert, rule: Rule, window: Window, origin: Origin) -> list[Alert]:
    """A magnitude that was revised within the minimum interval."""
    event = window.find(alert.events[0]) if rule.kind == "magnitude" and alert.active and alert.events else None
    return [] if event is None else _moved(alert, rule, event, origin)


def _moved(known: Alert, rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    over = not known.active or known.expires_at <= origin.at
    moved = abs((event.magnitude or 0.0) - (known.value or 0.0)) >= MAGNITUDE_STEP or event.id != known.events[0]
    if over or not moved or not _rested(known, rule, origin.at):
        return []
    revised = following(known, origin, rule, f"M {known.value:g} before", _seen(event))
    return [msgspec.structs.replace(revised, expires_at=known.expires_at)]  # of one earthquake: no revision makes it younger


def _followed(alert: Alert, change: Change, kept: LastRevisions, origin: Origin) -> Alert:
    """An id that an alert rests on was given up for another."""
    renamed = [change.merged_into if event == change.id else event for event in alert.events]
    events = list(dict.fromkeys(event for event in renamed if event))
    twin = next((one for one in kept if one.id != alert.id and one.rule == alert.rule and one.events[:1] == events[:1]), None)
    reason = f"{change.id} is now {change.merged_into}" if change.merged_into else f"{change.id} was given up"
    double = alert.kind == "magnitude" and twin is not None and twin.alert_type != "retraction"
    return msgspec.structs.replace(
        revision(alert, origin, f"{reason}, of which alert {twin.id} tells" if double and twin else reason),
        events=events,
        active=alert.active and not double,
        expires_at=origin.at if double else alert.expires_at,
    )


def _seen(event: Event) -> Found:
    depth = "" if event.depth_km is None else f", {event.depth_km:.0f} km deep"
    return Found(event.magnitude or 0.0, (event.id,), f"M {event.magnitude:g} at {event.time}, {event.place or 'place unnamed'}{depth}")


def _why(change: Change) -> str:
    told = f" ({change.reason})" if change.reason else ""
    return f"{change.id} was deleted{told}" if change.event is None else f"{change.id} was revised to M {change.event.magnitude}"


def _of(rules: Iterable[Rule], kind: str, origin: Origin) -> list[Rule]:
    return [rule for rule in rules if rule.kind == kind and _concerns(rule, origin)]


def _concerns(rule: Rule, origin: Origin) -> bool:
    return not rule.regions or origin.region in rule.regions


def _of_event(kept: LastRevisions, rule: Rule, change: Change) -> Alert | None:
    ids = {change.id, *(change.event.other_ids if change.event is not None else ())}
    return next((alert for alert in reversed(kept) if alert.rule == rule.name and ids & set(alert.events)), None)


def _last(kept: LastRevisions, rule: Rule) -> Alert | None:
    return next((alert for alert in reversed(kept) if alert.rule == rule.name), None)


def _live(kept: LastRevisions, rule: Rule, now: Instant) -> Alert | None:
    last = _last(kept, rule)
    return last if last is not None and last.active and last.expires_at > now else None


def _rested(last: Alert | None, rule: Rule, now: Instant) -> bool:
    """Whether the minimum interval since the last revision is over; after a retraction none is kept."""
    return last is None or last.alert_type == "retraction" or now >= last.issued_at.plus(seconds=60.0 * rule.minimum_interval_minutes)


def _changed(before: float | None, now: float, factor: float) -> bool:
    low, high = sorted((max(abs(before or 0.0), 1e-12), max(abs(now), 1e-12)))
    return high >= factor * low

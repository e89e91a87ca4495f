"""The alerts of earthquakes that were observed: one alert for an earthquake, for as long as its sequence lasts. Pure.

report                          alert
M 8.0, at00t0a6b3               initial
M 8.7, us6000qw60 instead       update: the id at the source and the magnitude have changed, the earthquake has not
M 8.0 and M 8.7 are one         update, not active, of the later alert: the other one goes on
M 5.4 instead of M 6.1          update, not active: it is too small for the rule
deleted, or a blast             retraction: there was no such earthquake
"""

from __future__ import annotations

import msgspec

from ingest.event import EARTHQUAKE, Change, Event, moved_to
from ingest.instant import Instant
from stream.alerts import reasons
from stream.alerts.intervals import is_interval_over
from stream.alerts.revision import Origin, closed, ended, initial, retraction, revision, update
from stream.alerts.rules import Rule
from stream.alerts.values import magnitude
from stream.alerts.wording import earthquake_of
from stream.core import Window
from stream.records import Alert, LastRevisions

MAGNITUDE_STEP = 0.1 - 1e-9
GENERIC_A, GENERIC_B, GENERIC_P = -1.67, 0.91, 1.08
AFTERSHOCK_MAGNITUDE = 5.0
AFTERSHOCKS_PER_DAY = 1.0 / 7.0
LONGEST_LIFE_DAYS = 30.0


def life_days(size: float) -> float:
    """Return how long aftershocks of M ≥ 5 come more often than once a week: so long an alert lasts, at most 30 days.

    Their rate is 10^(a + b (M − 5)) t^−p a day, t days after an earthquake of magnitude M: Reasenberg and Jones (1989), Science 243,
    1173–1176, eq. 2, with their generic values for California, without c, which matters in the first hours only. It is 1.2 days for M 6,
    8 for M 7, and 30 from M 7.7 on.
    """
    at_one_day = 10.0 ** (GENERIC_A + GENERIC_B * (size - AFTERSHOCK_MAGNITUDE))
    return float(min((at_one_day / AFTERSHOCKS_PER_DAY) ** (1.0 / GENERIC_P), LONGEST_LIFE_DAYS))


def magnitude_alerts(last_revisions: LastRevisions, rule: Rule, change: Change, origin: Origin) -> list[Alert]:
    """Apply a magnitude rule to a change."""
    last, event = _alert_of_event(last_revisions, rule, change), change.event
    if last is None or last.alert_type == "retraction" or (event is not None and not last.active):
        return [] if event is None or change.catching_up else first_revision(rule, event, origin)
    if change.kind == "merged":
        return []
    return _withdrawal(last, change, origin) if event is None else _next_revision(last, rule, event, origin)


def first_revision(rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    """Return the alert of an earthquake that has none, if it is large enough and its sequence lasts."""
    end = _end_of_life(rule, event)
    if event.type != EARTHQUAKE or event.magnitude is None or not rule.begins(event.magnitude) or end <= origin.at:
        return []
    first = initial(rule, magnitude(event), origin, reasons.begins(rule, event.magnitude), None)
    return [msgspec.structs.replace(first, expires_at=max(first.expires_at, end))]


def alerts_of_the_past(last_revisions: LastRevisions, rule: Rule, window: Window, origin: Origin) -> list[Alert]:
    """Return the alerts of earthquakes whose sequences last and that have none: they came while the past was read.

    Several can begin from one record, so their ids end with that of the earthquake.
    """
    large = window.large_events(rule.threshold, (int(origin.at.plus(days=-LONGEST_LIFE_DAYS)), ""))
    known = {event_id for alert in last_revisions if alert.rule == rule.name for event_id in alert.events} if large else set()
    begun = [(event, alert) for event in large if event.id not in known for alert in first_revision(rule, event, origin)]
    return [msgspec.structs.replace(alert, id=f"{alert.id}:{event.id}") for event, alert in begun]


def revise_waiting(alert: Alert, rule: Rule, window: Window, origin: Origin) -> list[Alert]:
    """Revise an alert of a magnitude rule whose earthquake was revised earlier, within the minimum interval."""
    event = window.find(alert.events[0]) if alert.active and alert.events else None
    return [] if event is None else _revise(alert, rule, event, origin)


def replace_merged_id(alert: Alert, change: Change, last_revisions: LastRevisions, origin: Origin) -> Alert:
    """Return the alert after the id of an event that it is based on was merged into another.

    An alert of an earthquake that has another one already ends: one earthquake has one alert.
    """
    renamed = [change.merged_into if event == change.id else event for event in alert.events]
    events = list(dict.fromkeys(event for event in renamed if event))
    same_rule = (one for one in last_revisions if one.id != alert.id and one.rule == alert.rule and one.events[:1] == events[:1])
    twin = next((one for one in same_rule if alert.kind == "magnitude" and one.alert_type != "retraction"), None)
    if twin is not None:
        after = closed(alert, origin, f"One earthquake, not two: {twin.headline}", reasons.joined(twin))
    else:
        is_live = alert.active and alert.expires_at > origin.at
        after = msgspec.structs.replace(revision(alert, origin, reasons.renamed(change)), active=is_live)
    return msgspec.structs.replace(after, events=events)


def _withdrawal(last: Alert, change: Change, origin: Origin) -> list[Alert]:
    """Return the end of the alert of an earthquake that the region has no longer.

    It is retracted, unless it lies in another region now. A poor report of an earthquake that stands is no case of this: ingest has
    associated the two, or merges them.
    """
    region = moved_to(change)
    if region is None:
        return [retraction(last, origin, reasons.withdrawn(last, change))]
    return [closed(last, origin, f"Relocated: {last.headline}", reasons.relocated(region))] if _lasts(last, origin.at) else []


def _next_revision(last: Alert, rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    if event.type != EARTHQUAKE:
        return [retraction(last, origin, reasons.is_no_earthquake(event.type))]
    if event.magnitude is None or not rule.continues(event.magnitude):
        reason = f"{reasons.revised(last, earthquake_of(event))} {reasons.ends(rule, last, event.magnitude or 0.0)}"
        return [ended(last, origin, rule, reason, magnitude(event))] if _lasts(last, origin.at) else []
    return _revise(last, rule, event, origin)


def _revise(last: Alert, rule: Rule, event: Event, origin: Origin) -> list[Alert]:
    if not _lasts(last, origin.at) or not _has_moved(last, event) or not is_interval_over(last, rule, origin.at):
        return []
    revised = update(last, origin, rule, reasons.revised(last, earthquake_of(event)), magnitude(event))
    return [msgspec.structs.replace(revised, expires_at=max(last.expires_at, _end_of_life(rule, event)))]


def _has_moved(last: Alert, event: Event) -> bool:
    """Return whether the magnitude differs from the last revision, or the id, ours or that at the source."""
    known = last.earthquake.source_id if last.earthquake is not None else last.events[0]
    is_renamed = event.id != last.events[0] or earthquake_of(event).source_id != known
    return is_renamed or abs((event.magnitude or 0.0) - (last.value or 0.0)) >= MAGNITUDE_STEP


def _end_of_life(rule: Rule, event: Event) -> Instant:
    return event.time.plus(hours=max(rule.expires_hours, 24.0 * life_days(event.magnitude or 0.0)))


def _lasts(alert: Alert, now: Instant) -> bool:
    return alert.active and alert.expires_at > now


def _alert_of_event(last_revisions: LastRevisions, rule: Rule, change: Change) -> Alert | None:
    """Return the alert of a change's event: of several, after two turned out to be one, the one that goes on."""
    found = [alert for alert in reversed(last_revisions) if alert.rule == rule.name and change.id in alert.events]
    return next((alert for alert in found if alert.active), found[0] if found else None)

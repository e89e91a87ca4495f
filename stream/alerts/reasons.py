"""Why each revision of an alert was issued: what changed since the one before, in sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ingest.event import Change
from stream.alerts.rules import Rule
from stream.alerts.wording import duration, moment, named, one_in, percent, size, times
from stream.records import Alert, AlertedEarthquake

WRITTEN: dict[str, tuple[str, Callable[[float], str]]] = {
    "probability": ("The chance", percent),
    "gain": ("The chance", lambda value: f"{times(value)} the usual one"),
    "magnitude": ("The magnitude", size),
    "busy": ("The probability of so many or more", one_in),
    "quiet": ("The probability of so many or fewer", one_in),
    "calibration": ("The gain on the long-run rate, with two standard errors,", lambda value: f"{value:+.3f} nats an earthquake"),
    "feed": ("The silence", duration),
}
"""By kind of rule, what its value is called and how it is written."""


def begins(rule: Rule, value: float) -> str:
    """Return why an alert begins."""
    name, written = WRITTEN[rule.kind]
    return f"{name} is {written(value)}; this alert begins at {written(rule.threshold)}."


def changes(rule: Rule, last: Alert, value: float) -> str:
    """Return by how much the value has changed."""
    name, written = WRITTEN[rule.kind]
    return f"{name} is now {written(value)}; it was {written(last.value or 0.0)} at {moment(last.issued_at)}."


def continues(rule: Rule, value: float) -> str:
    """Return why an alert is renewed."""
    name, written = WRITTEN[rule.kind]
    return f"{name} is still {written(value)}; this alert ends at {written(rule.end)}."


def ends(rule: Rule, last: Alert, value: float) -> str:
    """Return why an alert ends."""
    name, written = WRITTEN[rule.kind]
    was = f"it was {written(last.value or 0.0)} at {moment(last.issued_at)}"
    return f"{name} is now {written(value)}, where this alert ends (at {written(rule.end)}); {was}."


def without(rule: Rule, last: Alert, change: Change, value: float) -> str:
    """Return what the value is without an earthquake that was withdrawn."""
    name, written = WRITTEN[rule.kind]
    return f"{withdrawn(last, change)} {name} without it is {written(value)}; it was {written(last.value or 0.0)}."


def withdrawn(last: Alert, change: Change) -> str:
    """Return that the source has withdrawn an earthquake."""
    known = last.earthquake if last.earthquake is not None and last.earthquake.id == change.id else None
    which = f"the earthquake {change.id}" if known is None else f"the {named(known)}"
    return f"The source has withdrawn {which}: it was probably no earthquake{f' ({change.reason})' if change.reason else ''}."


def is_no_earthquake(kind: str) -> str:
    """Return that an event is of another type."""
    return f"It was not an earthquake: its source now lists it as one of the type {kind}."


def revised(last: Alert, earthquake: AlertedEarthquake) -> str:
    """Return what is new of an earthquake: its id at the source, its magnitude."""
    before = last.earthquake
    is_renamed = before is not None and before.source_id != earthquake.source_id
    resized = f"The magnitude was revised from {last.value or 0.0:.1f} to {earthquake.magnitude or 0.0:.1f}."
    if not is_renamed or before is None:
        return resized
    listed = f"Its source now lists it as {earthquake.source_id}, {size(earthquake.magnitude)}"
    return f"{listed}; before it was {before.source_id}, {size(before.magnitude)}. It is the same earthquake."


def relocated(region: str) -> str:
    """Return that an earthquake has moved to another region."""
    return f"Its epicentre was relocated to the region {region}, which alerts of it from now on. The earthquake is not withdrawn."


def joined(twin: Alert) -> str:
    """Return that two reports are of one earthquake."""
    return f"Two reports were of one earthquake; the alert {twin.id} goes on. The earthquake is not withdrawn."


def renamed(change: Change) -> str:
    """Return that an event is known under another id from now on."""
    return f"The earthquake {change.id} is now {change.merged_into}." if change.merged_into else f"The id {change.id} was given up."

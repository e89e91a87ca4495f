"""Alerts in the Common Alerting Protocol 1.2 (OASIS, 2010): https://docs.oasis-open.org/emergency/cap/v1.2/CAP-v1.2-os.html

One revision of an alert is one message: `initial` becomes an Alert, `update` an Update, `retraction` a Cancel. Updates and cancels refer to
all earlier messages of the same alert. What is not live has the status Test, a drill Exercise; alerts about the system itself (`feed`,
`calibration`) have the status System.

A probability is not an observation, so the certainty of a forecast is `Possible` (probability up to one half) or `Likely` (above), never
more. The magnitude of an earthquake alone does not determine its damage, so `severity` is a plain table of magnitudes, `Unknown` without a
magnitude. No message says "all clear".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree import ElementTree

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_SECOND, Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from ingest.xml_text import xml_text
from stream.export.cap_area import add_area, add_text
from stream.records import DISCLAIMER, INSTRUCTION, NOT_LIVE, Alert

CAP_MEDIA_TYPE = "application/cap+xml"
NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
DEFAULT_SENDER = "quakecast"
LANGUAGE = "en"
MESSAGE_TYPES = {"initial": "Alert", "update": "Update", "retraction": "Cancel"}
SEVERITIES = ((8.0, "Extreme"), (7.0, "Severe"), (6.0, "Moderate"))
"""Severity from this magnitude on; `Minor` below. It describes the size of the earthquake, not its damage."""
_NOT_IN_IDENTIFIERS = re.compile(r"[\s,<&]+")


class CapFields(NamedTuple):
    """The CAP fields of alerts of one kind."""

    event: str
    category: str
    urgency: str
    certainty: str
    """CAP's certainty; `forecast` means that it depends on the probability."""
    system: bool = False
    """Whether the alert is about quakecast itself."""


FIELDS_BY_KIND = {
    "probability": CapFields("Earthquake probability forecast", "Geo", "Future", "forecast"),
    "gain": CapFields("Raised earthquake probability", "Geo", "Future", "forecast"),
    "magnitude": CapFields("Earthquake", "Geo", "Past", "Observed"),
    "busy": CapFields("More earthquakes than forecast", "Geo", "Past", "Observed"),
    "quiet": CapFields("Fewer earthquakes than forecast", "Geo", "Past", "Observed"),
    "calibration": CapFields("Earthquake forecasts out of calibration", "Other", "Past", "Observed", system=True),
    "feed": CapFields("Earthquake feed not heard", "Other", "Past", "Observed", system=True),
}
FIELDS_OF_OTHER_KINDS = CapFields("Earthquake notice", "Geo", "Unknown", "Unknown")
"""For kinds of alerts that this version does not know."""


def cap_message(
    alert: Alert,
    earlier: Sequence[Alert],
    table: RegionTable,
    events: Mapping[str, Event] | None = None,
    *,
    sender: str = DEFAULT_SENDER,
    web: str | None = None,
) -> bytes:
    """Return one revision of an alert as a CAP message (XML).

    Args:
        alert: the revision.
        earlier: the earlier revisions of the alert, which the message refers to; other alerts in it are ignored.
        table: the regions, whose polygons are the area of the message.
        events: the events that the alert rests on, by id: for a magnitude alert of an earlier release, which does not have its earthquake.
        sender: identifies the operator, for example by a domain; without spaces, commas, `<` and `&`.
        web: the address of a page with more information, where the source has none about the earthquake.

    Raises:
        Problem: the alert is an update or retraction, but `earlier` has no earlier revision to refer to.
    """
    before = sorted((one for one in earlier if one.id == alert.id and one.revision < alert.revision), key=lambda one: one.revision)
    if alert.revision > 0 and not before:
        raise Problem(f"the revisions before {alert.id}.{alert.revision} are no longer kept", "request the alert as JSON instead")
    fields = FIELDS_BY_KIND.get(alert.kind, FIELDS_OF_OTHER_KINDS)
    message = ElementTree.Element("alert", xmlns=NAMESPACE)
    _add_head(message, alert, before, fields, _identifier(sender))
    info = ElementTree.SubElement(message, "info")
    _add_info(info, alert, fields, web, expires=_expires(alert, before))
    add_area(ElementTree.SubElement(info, "area"), alert, table, events or {})
    ElementTree.indent(message)
    return bytes(ElementTree.tostring(message, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_head(message: ElementTree.Element, alert: Alert, before: Sequence[Alert], fields: CapFields, sender: str) -> None:
    add_text(message, "identifier", _name(alert))
    add_text(message, "sender", sender)
    add_text(message, "sent", _time(alert.issued_at))
    add_text(message, "status", _status(alert, fields))
    add_text(message, "msgType", MESSAGE_TYPES[alert.alert_type])
    add_text(message, "scope", "Public")
    add_text(message, "note", _note(alert))
    add_text(message, "references", " ".join(f"{sender},{_name(one)},{_time(one.issued_at)}" for one in before))
    add_text(message, "incidents", " ".join(map(_identifier, alert.events)))


def _status(alert: Alert, fields: CapFields) -> str:
    if alert.test:
        return "Exercise" if alert.why_not_live == "exercise" else "Test"
    return "System" if fields.system else "Actual"


def _expires(alert: Alert, before: Sequence[Alert]) -> Instant:
    """Return when the message expires. One that ends an alert lasts as long as the alert would have, so that every receiver gets it."""
    return alert.expires_at if alert.active else max(one.expires_at for one in (*before, alert))


def _name(alert: Alert) -> str:
    return _identifier(f"{alert.id}.{alert.revision}")


def _identifier(text: str) -> str:
    """Replace the characters that CAP forbids in identifiers and senders."""
    return _NOT_IN_IDENTIFIERS.sub("_", xml_text(text)) or DEFAULT_SENDER


def _time(instant: Instant) -> str:
    """Return a time in CAP's form: whole seconds, and `-00:00` for UTC; `Z` is not allowed (3.3.2)."""
    moment = datetime.fromtimestamp(int(instant) // MILLISECONDS_PER_SECOND, UTC)
    return moment.isoformat(timespec="seconds").removesuffix("+00:00") + "-00:00"


def _note(alert: Alert) -> str:
    parts = [_mark(alert), sentence(alert.reason) if alert.alert_type == "retraction" else ""]
    return " ".join(part for part in parts if part)


def _mark(alert: Alert) -> str:
    """Return the sentence that what is not live begins with; an empty text when it is live."""
    return NOT_LIVE[alert.why_not_live] if alert.test else ""


def sentence(text: str) -> str:
    """Return a text that begins with a capital and ends with a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".!?" else ".")


def _add_info(info: ElementTree.Element, alert: Alert, fields: CapFields, web: str | None, expires: Instant) -> None:
    is_retracted = alert.alert_type == "retraction"
    add_text(info, "language", LANGUAGE)
    add_text(info, "category", fields.category)
    add_text(info, "event", fields.event)
    add_text(info, "responseType", "Monitor" if alert.active else "None")
    add_text(info, "urgency", fields.urgency if alert.active else "Past")
    add_text(info, "severity", "Unknown" if is_retracted else severity(alert, fields))
    add_text(info, "certainty", "Unknown" if is_retracted else certainty(alert, fields))
    add_text(info, "effective", _time(alert.issued_at))
    add_text(info, "expires", _time(expires))
    add_text(info, "senderName", "quakecast")
    add_text(info, "headline", f"{_mark(alert)} {alert.headline}")
    add_text(info, "description", _description(alert))
    add_text(info, "instruction", INSTRUCTION)
    add_text(info, "web", (alert.earthquake.url if alert.earthquake is not None and alert.kind == "magnitude" else None) or web or "")
    for name, value in _parameters(alert).items():
        parameter = ElementTree.SubElement(info, "parameter")
        add_text(parameter, "valueName", f"quakecast:{name}")
        add_text(parameter, "value", value)


def _description(alert: Alert) -> str:
    """Return sentences: the mark of what is not live, what happened and what to expect, what is new, the disclaimer."""
    return " ".join(filter(None, (_mark(alert), sentence(alert.description or alert.headline), sentence(alert.reason), DISCLAIMER)))


def severity(alert: Alert, fields: CapFields) -> str:
    """Return CAP's severity for the observed magnitude, or for the magnitude that the forecast is about."""
    magnitude = alert.value if alert.kind == "magnitude" else alert.magnitude
    if magnitude is None or fields.category != "Geo":
        return "Unknown"
    return next((name for least, name in SEVERITIES if magnitude >= least), "Minor")


def certainty(alert: Alert, fields: CapFields) -> str:
    """Return CAP's certainty: `Likely` above a probability of one half (CAP's own bound). A gain is not a probability: `Possible`."""
    if fields.certainty != "forecast":
        return fields.certainty
    return "Likely" if alert.kind == "probability" and (alert.value or 0.0) > 0.5 else "Possible"


def _parameters(alert: Alert) -> dict[str, str]:
    values = {
        "rule": alert.rule, "kind": alert.kind, "revision": alert.revision, "active": str(alert.active).lower(), "value": alert.value,
        "threshold": alert.threshold, "magnitude": alert.magnitude, "within": alert.within, "forecast": alert.forecast,
        "model": alert.model, "events": " ".join(alert.events),
    }  # fmt: skip
    return {name: text for name, value in values.items() if value is not None and (text := xml_text(str(value)))}

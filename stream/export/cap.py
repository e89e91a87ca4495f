"""Alerts in the Common Alerting Protocol 1.2 (OASIS, 2010): https://docs.oasis-open.org/emergency/cap/v1.2/CAP-v1.2-os.html

One revision of an alert is one message: `initial` becomes an Alert, `update` an Update, `retraction` a Cancel. Updates and cancels refer to
all earlier messages of the same alert. Alerts of replays have the status Test; alerts about the system itself (`feed`, `calibration`) have
the status System.

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

import shapely

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_SECOND, Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from ingest.xml_text import xml_text
from stream.records import DISCLAIMER, INSTRUCTION, Alert

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
        events: the events that the alert rests on, by id; the area of a magnitude alert is circles around them.
        sender: identifies the operator, for example by a domain; without spaces, commas, `<` and `&`.
        web: the address of a page with more information.

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
    _add_area(ElementTree.SubElement(info, "area"), alert, table, events or {})
    ElementTree.indent(message)
    return bytes(ElementTree.tostring(message, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_head(message: ElementTree.Element, alert: Alert, before: Sequence[Alert], fields: CapFields, sender: str) -> None:
    _add(message, "identifier", _name(alert))
    _add(message, "sender", sender)
    _add(message, "sent", _time(alert.issued_at))
    _add(message, "status", "Test" if alert.test else "System" if fields.system else "Actual")
    _add(message, "msgType", MESSAGE_TYPES[alert.alert_type])
    _add(message, "scope", "Public")
    _add(message, "note", _note(alert))
    _add(message, "references", " ".join(f"{sender},{_name(one)},{_time(one.issued_at)}" for one in before))
    _add(message, "incidents", " ".join(map(_identifier, alert.events)))


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
    parts = ["Test: made from the past, not live." if alert.test else "", alert.reason if alert.alert_type == "retraction" else ""]
    return " ".join(part for part in parts if part)


def _add_info(info: ElementTree.Element, alert: Alert, fields: CapFields, web: str | None, expires: Instant) -> None:
    is_retracted = alert.alert_type == "retraction"
    _add(info, "language", LANGUAGE)
    _add(info, "category", fields.category)
    _add(info, "event", fields.event)
    _add(info, "responseType", "Monitor" if alert.active else "None")
    _add(info, "urgency", fields.urgency if alert.active else "Past")
    _add(info, "severity", "Unknown" if is_retracted else severity(alert, fields))
    _add(info, "certainty", "Unknown" if is_retracted else certainty(alert, fields))
    _add(info, "effective", _time(alert.issued_at))
    _add(info, "expires", _time(expires))
    _add(info, "senderName", "quakecast")
    _add(info, "headline", alert.headline)
    _add(info, "description", f"{alert.headline}. {alert.reason}. {DISCLAIMER}")
    _add(info, "instruction", INSTRUCTION)
    _add(info, "web", web or "")
    for name, value in _parameters(alert).items():
        parameter = ElementTree.SubElement(info, "parameter")
        _add(parameter, "valueName", f"quakecast:{name}")
        _add(parameter, "value", value)


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


def _add_area(area: ElementTree.Element, alert: Alert, table: RegionTable, events: Mapping[str, Event]) -> None:
    """Add circles around the events of a magnitude alert, else the region's polygons; without either, an area without a shape."""
    located = [events[event_id] for event_id in alert.events if event_id in events] if alert.kind == "magnitude" else []
    is_in_table = alert.region is not None and alert.region in table
    name = table[alert.region].name if is_in_table and alert.region else xml_text(alert.region or "") or "Worldwide"
    _add(area, "areaDesc", "; ".join(xml_text(event.place) or name for event in located) or name)
    if located:
        for event in located:
            _add(area, "circle", f"{event.latitude:.4f},{event.longitude:.4f} {radius_km(event.magnitude or 0.0):.1f}")
    elif is_in_table and alert.region:
        for polygon in _polygons(table.shape(alert.region)):
            _add(area, "polygon", polygon)
    if alert.region and xml_text(alert.region):
        geocode = ElementTree.SubElement(area, "geocode")
        _add(geocode, "valueName", "quakecast:region")
        _add(geocode, "value", alert.region)


def radius_km(magnitude: float) -> float:
    """Return the radius of the aftershock zone, in km.

    10^(0.1238 M + 0.983): Gardner and Knopoff (1974), in the form of van Stiphout et al. (2012, eq. 1).
    """
    return float(10.0 ** (0.1238 * magnitude + 0.983))


def _polygons(shape: shapely.Geometry) -> list[str]:
    """Return closed rings of `latitude,longitude`. CAP polygons have no holes, so an enclosed area counts as part of the region."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return [" ".join(f"{latitude:.4f},{longitude:.4f}" for longitude, latitude in part.exterior.coords) for part in parts]


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    """Add an element with a text; an empty text adds nothing."""
    if text := xml_text(text):
        ElementTree.SubElement(parent, name).text = text

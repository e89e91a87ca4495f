"""Alerts in the Common Alerting Protocol 1.2 (OASIS, 2010): https://docs.oasis-open.org/emergency/cap/v1.2/CAP-v1.2-os.html

One revision of an alert is one message: `initial` an Alert, `update` an Update, `retraction` a Cancel; the two latter name all messages of
the same alert before them. Replays have the status Test; what concerns the system alone (`feed`, `calibration`) has the status System.

A probability is no observation, so a forecast is `Possible` (up to one half) or `Likely` (above), never more. The size of an earthquake
says little of what it does to people: `severity` is a plain table of magnitudes, `Unknown` where there is none. Nothing is "all clear".
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

MEDIA_TYPE = "application/cap+xml"
NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SENDER = "quakecast"
LANGUAGE = "en"
MESSAGE_TYPES = {"initial": "Alert", "update": "Update", "retraction": "Cancel"}
SEVERITIES = ((8.0, "Extreme"), (7.0, "Severe"), (6.0, "Moderate"))
"""From this magnitude on; `Minor` below. It is the size of an earthquake, not of what it does."""
_NOT_IN_IDENTIFIERS = re.compile(r"[\s,<&]+")


class Manner(NamedTuple):
    """How alerts of a kind are told."""

    event: str
    category: str
    urgency: str
    certainty: str
    """`forecast`: by the probability."""
    system: bool = False


MANNERS = {
    "probability": Manner("Earthquake probability forecast", "Geo", "Future", "forecast"),
    "gain": Manner("Raised earthquake probability", "Geo", "Future", "forecast"),
    "magnitude": Manner("Earthquake", "Geo", "Past", "Observed"),
    "busy": Manner("More earthquakes than forecast", "Geo", "Past", "Observed"),
    "quiet": Manner("Fewer earthquakes than forecast", "Geo", "Past", "Observed"),
    "calibration": Manner("Earthquake forecasts out of calibration", "Other", "Past", "Observed", system=True),
    "feed": Manner("Earthquake feed not heard", "Other", "Past", "Observed", system=True),
}
OTHER = Manner("Earthquake notice", "Geo", "Unknown", "Unknown")
"""For kinds that come later."""


def cap(
    alert: Alert,
    earlier: Sequence[Alert],
    table: RegionTable,
    events: Mapping[str, Event] | None = None,
    *,
    sender: str = SENDER,
    web: str | None = None,
) -> bytes:
    """One revision as a CAP message.

    Args:
        alert: the revision.
        earlier: the alert's revisions before it, for the references; others in it are passed over.
        events: what is known of the events that it rests on, by id; they place an alert of a magnitude by a circle.
        sender: the name that the operator answers for, such as a domain; without spaces, commas, `<` and `&`.
        web: an address that says more.

    Raises:
        Problem: an update or retraction whose earlier revisions are not there: its message would be wrong without them.
    """
    before = sorted((one for one in earlier if one.id == alert.id and one.revision < alert.revision), key=lambda one: one.revision)
    if alert.revision > 0 and not before:
        raise Problem(f"the revisions before {alert.id}.{alert.revision} are no longer held", "ask for the alert as JSON instead")
    manner = MANNERS.get(alert.kind, OTHER)
    message = ElementTree.Element("alert", xmlns=NAMESPACE)
    _add_head(message, alert, before, manner, _identifier(sender))
    info = ElementTree.SubElement(message, "info")
    _add_info(info, alert, manner, web, expires=_expires(alert, before))
    _add_area(ElementTree.SubElement(info, "area"), alert, table, events or {})
    ElementTree.indent(message)
    return bytes(ElementTree.tostring(message, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_head(message: ElementTree.Element, alert: Alert, before: Sequence[Alert], manner: Manner, sender: str) -> None:
    _add(message, "identifier", _name(alert))
    _add(message, "sender", sender)
    _add(message, "sent", _time(alert.issued_at))
    _add(message, "status", "Test" if alert.test else "System" if manner.system else "Actual")
    _add(message, "msgType", MESSAGE_TYPES[alert.alert_type])
    _add(message, "scope", "Public")
    _add(message, "note", _note(alert))
    _add(message, "references", " ".join(f"{sender},{_name(one)},{_time(one.issued_at)}" for one in before))
    _add(message, "incidents", " ".join(map(_identifier, alert.events)))


def _expires(alert: Alert, before: Sequence[Alert]) -> Instant:
    """When the message may be forgotten. One that ends an alert stays as long as what it ends would have: who shows it must hear."""
    return alert.expires_at if alert.active else max(one.expires_at for one in (*before, alert))


def _name(alert: Alert) -> str:
    return _identifier(f"{alert.id}.{alert.revision}")


def _identifier(text: str) -> str:
    """Without what CAP forbids in identifiers and senders."""
    return _NOT_IN_IDENTIFIERS.sub("_", xml_text(text)) or SENDER


def _time(instant: Instant) -> str:
    """CAP's form: whole seconds, and `-00:00` for UTC; `Z` is not allowed (3.3.2)."""
    moment = datetime.fromtimestamp(int(instant) // MILLISECONDS_PER_SECOND, UTC)
    return moment.isoformat(timespec="seconds").removesuffix("+00:00") + "-00:00"


def _note(alert: Alert) -> str:
    parts = ["Test: made from the past, not live." if alert.test else "", alert.reason if alert.alert_type == "retraction" else ""]
    return " ".join(part for part in parts if part)


def _add_info(info: ElementTree.Element, alert: Alert, manner: Manner, web: str | None, expires: Instant) -> None:
    retracted = alert.alert_type == "retraction"
    _add(info, "language", LANGUAGE)
    _add(info, "category", manner.category)
    _add(info, "event", manner.event)
    _add(info, "responseType", "Monitor" if alert.active else "None")
    _add(info, "urgency", manner.urgency if alert.active else "Past")
    _add(info, "severity", "Unknown" if retracted else severity(alert, manner))
    _add(info, "certainty", "Unknown" if retracted else certainty(alert, manner))
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


def severity(alert: Alert, manner: Manner) -> str:
    """By the magnitude that was observed, or that the forecast is of."""
    magnitude = alert.value if alert.kind == "magnitude" else alert.magnitude
    if magnitude is None or manner.category != "Geo":
        return "Unknown"
    return next((name for least, name in SEVERITIES if magnitude >= least), "Minor")


def certainty(alert: Alert, manner: Manner) -> str:
    """CAP's own bounds: `Likely` is above one half. A gain is no probability, so it makes nothing likely."""
    if manner.certainty != "forecast":
        return manner.certainty
    return "Likely" if alert.kind == "probability" and (alert.value or 0.0) > 0.5 else "Possible"


def _parameters(alert: Alert) -> dict[str, str]:
    said = {
        "rule": alert.rule, "kind": alert.kind, "revision": alert.revision, "active": str(alert.active).lower(), "value": alert.value,
        "threshold": alert.threshold, "magnitude": alert.magnitude, "within": alert.within, "forecast": alert.forecast,
        "model": alert.model, "events": " ".join(alert.events),
    }  # fmt: skip
    return {name: text for name, value in said.items() if value is not None and (text := xml_text(str(value)))}


def _add_area(area: ElementTree.Element, alert: Alert, table: RegionTable, events: Mapping[str, Event]) -> None:
    """Circles around the events of an alert of a magnitude, else the region; an area without a shape when neither is known."""
    placed = [events[event_id] for event_id in alert.events if event_id in events] if alert.kind == "magnitude" else []
    known = alert.region is not None and alert.region in table
    name = table[alert.region].name if known and alert.region else xml_text(alert.region or "") or "Worldwide"
    _add(area, "areaDesc", "; ".join(xml_text(event.place) or name for event in placed) or name)
    if placed:
        for event in placed:
            _add(area, "circle", f"{event.latitude:.4f},{event.longitude:.4f} {radius_km(event.magnitude or 0.0):.1f}")
    elif known and alert.region:
        for polygon in _polygons(table.shape(alert.region)):
            _add(area, "polygon", polygon)
    if alert.region and xml_text(alert.region):
        geocode = ElementTree.SubElement(area, "geocode")
        _add(geocode, "valueName", "quakecast:region")
        _add(geocode, "value", alert.region)


def radius_km(magnitude: float) -> float:
    """Within which aftershocks come, 10^(0.1238 M + 0.983): Gardner and Knopoff 1974, as van Stiphout et al. 2012 give it (eq. 1)."""
    return float(10.0 ** (0.1238 * magnitude + 0.983))


def _polygons(shape: shapely.Geometry) -> list[str]:
    """Closed rings of `latitude,longitude`. CAP has no holes: what lies within a region belongs to its area."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return [" ".join(f"{latitude:.4f},{longitude:.4f}" for longitude, latitude in part.exterior.coords) for part in parts]


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    """An element with a text; none for an empty one."""
    if text := xml_text(text):
        ElementTree.SubElement(parent, name).text = text

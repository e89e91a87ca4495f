"""The area of a CAP message: a circle around an earthquake, or the polygons of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import shapely

from ingest.event import Event
from ingest.region import RegionTable
from ingest.xml_text import xml_text
from stream.records import Alert, AlertedEarthquake

LEAST_RADIUS_KM = 10.0


def add_area(area: ElementTree.Element, alert: Alert, table: RegionTable, events: Mapping[str, Event]) -> None:
    """Add a circle around the earthquake of a magnitude alert, else the region's polygons; without either, an area without a shape."""
    located = _located(alert, events)
    is_in_table = alert.region is not None and alert.region in table
    name = table[alert.region].name if is_in_table and alert.region else xml_text(alert.region or "") or "Worldwide"
    add_text(area, "areaDesc", "; ".join(xml_text(event.place) or name for event in located) or name)
    if located:
        for event in located:
            add_text(area, "circle", f"{event.latitude:.4f},{event.longitude:.4f} {radius_km(event.magnitude or 0.0):.0f}")
    elif is_in_table and alert.region:
        for polygon in _polygons(table.shape(alert.region)):
            add_text(area, "polygon", polygon)
    if alert.region and xml_text(alert.region):
        geocode = ElementTree.SubElement(area, "geocode")
        add_text(geocode, "valueName", "quakecast:region")
        add_text(geocode, "value", alert.region)


def _located(alert: Alert, events: Mapping[str, Event]) -> Sequence[Event | AlertedEarthquake]:
    """Return the earthquake of a magnitude alert as the alert has it; for alerts that began before it was kept, as it is known now."""
    if alert.kind != "magnitude":
        return []
    if alert.earthquake is not None:
        return [alert.earthquake]
    return [events[event_id] for event_id in alert.events if event_id in events]


def radius_km(magnitude: float) -> float:
    """Return the radius of a circle around an epicentre that holds the rupture whichever way it ran, in km.

    The length of the rupture, log₁₀ L = 0.59 M − 2.44 (Wells and Coppersmith 1994, Bull. Seismol. Soc. Am. 84, 974–1002, Table 2A:
    subsurface rupture length, all slip types): 17 km for M 6.2, 145 km for M 7.8, 565 km for M 8.8. (For subduction interfaces
    Thingbaijam et al. 2017 have 523 km for M 8.8.) At least `LEAST_RADIUS_KM`, since first epicentres are off by kilometres.
    """
    return max(float(10.0 ** (0.59 * magnitude - 2.44)), LEAST_RADIUS_KM)


def _polygons(shape: shapely.Geometry) -> list[str]:
    """Return closed rings of `latitude,longitude`. CAP polygons have no holes, so an enclosed area counts as part of the region."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return [" ".join(f"{latitude:.4f},{longitude:.4f}" for longitude, latitude in part.exterior.coords) for part in parts]


def add_text(parent: ElementTree.Element, name: str, text: str) -> None:
    """Add an element with a text; an empty text adds nothing."""
    if text := xml_text(text):
        ElementTree.SubElement(parent, name).text = text

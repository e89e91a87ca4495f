"""The feeds of a chaos run: one that is simulated in quick motion, and the recorded one, played faster."""

from __future__ import annotations

import random
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ingest.bus.log import REGION_PARTITIONS
from ingest.event import Event
from ingest.region import RegionTable, partition_of
from ingest.sources import parse_geojson
from tests.support.changing_feed import changing_feed
from tests.support.recorded_feed import recorded_feed
from tests.support.simulated import event
from tests.support.stand_ins import DAY_FEED, now

STEP_SECONDS = 0.25
RECORDED_START, RECORDED_SPEED = "2023-02-06T01:00:00Z", 60.0
"""Seventeen minutes before the M 7.8 of Türkiye; an hour passes in a minute."""


class ShownFeed:
    """A feed at an address, which can be read past everything that faults do to it.

    Args:
        freeze: ends its changes; its clock goes on.
        misbehaves: whether it can be told to answer badly.
    """

    def __init__(self, address: str, freeze: Callable[[], None], *, misbehaves: bool) -> None:
        self.address, self.freeze, self.misbehaves = address, freeze, misbehaves

    def shown(self) -> dict[str, Event]:
        """Return the events that the feed of the last day shows now, by id."""
        with urllib.request.urlopen(self.address + DAY_FEED, timeout=60) as answer:
            body = answer.read()
        return {one.id: one for one in parse_geojson(body, "all_day", None).events}


def a_place_by_partition(table: RegionTable, draw: random.Random) -> list[tuple[float, float]]:
    """Return, for each partition, a latitude and longitude of one of its regions."""
    places: dict[int, tuple[float, float]] = {}
    while len(places) < REGION_PARTITIONS:
        latitude, longitude = draw.uniform(-60.0, 60.0), draw.uniform(-179.0, 179.0)
        places.setdefault(partition_of(table.region_of(latitude, longitude).id, REGION_PARTITIONS), (latitude, longitude))
    return [places[number] for number in range(REGION_PARTITIONS)]


@contextmanager
def simulated(seed: int) -> Iterator[ShownFeed]:
    """Serve a feed in which, four times a second, an event appears, is revised, or is withdrawn."""
    draw = random.Random(seed)
    places = a_place_by_partition(RegionTable.load(None), draw)
    known: dict[str, Event] = {}
    stop = threading.Event()
    with changing_feed([]) as feed:

        def change() -> None:
            kind = draw.choices(("appears", "is revised", "is withdrawn"), (6, 3, 1))[0] if known else "appears"
            if kind == "is withdrawn":
                feed.withdraw(known.popitem()[0] if draw.random() < 0.5 else known.pop(draw.choice(list(known))).id)
                return
            if kind == "is revised":
                before = known[draw.choice(list(known)[-20:])]
                after = msgspec.structs.replace(before, magnitude=_magnitude(draw), updated=now())
            else:
                latitude, longitude = draw.choice(places)
                after = event(
                    f"us{draw.getrandbits(40):010x}", time=now(), updated=now(), magnitude=_magnitude(draw), latitude=latitude,
                    longitude=longitude,
                )  # fmt: skip
            known[after.id] = after
            feed.show(after)

        def run() -> None:
            while not stop.wait(STEP_SECONDS):
                change()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield ShownFeed(feed.address, stop.set, misbehaves=False)
        finally:
            stop.set()
            thread.join()


def _magnitude(draw: random.Random) -> float:
    return round(4.6 + draw.expovariate(2.3), 2)


def answer_well(address: str) -> None:
    """End the bad answers of the recorded feed that are left."""
    urllib.request.urlopen(f"{address}/_fault?mode=&n=0").read()


@contextmanager
def recorded(folder: Path) -> Iterator[ShownFeed]:
    """Serve the recorded feed from before the M 7.8 of 2023-02-06."""
    with recorded_feed(folder, RECORDED_START, RECORDED_SPEED) as feed:
        # it is not frozen: its few changes an hour leave time to compare
        yield ShownFeed(feed.address, lambda: answer_well(feed.address), misbehaves=True)

"""A worker whose forecaster costs next to nothing: what is left is the stream's own work.

python -m tests.measurements.bench.stand_in sqlite:///FILE     issues forecasts until it is ended
"""

from __future__ import annotations

import signal
import struct
import sys
import threading
from collections.abc import Sequence

from ingest.bus import open_log
from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region, RegionTable
from stream.alerts import load_rules
from stream.core.forecaster import Expectation, Hazard
from stream.records.forecast import Exceedance, Magnitude, Spot, Wait, Where
from stream.store import open_store
from stream.worker import Worker

NUMBER = struct.Struct("<d")
MEMORY_BYTES = 19_000
"""As large as a memory of the built-in model."""
BY_SPAN = {"1h": 0.01, "1d": 0.1, "7d": 0.3, "30d": 0.5}
BY_MAGNITUDE = {"4": 0.1, "5": 0.01, "6": 0.001, "7": 0.0001}
LARGE = {magnitude: {span: share * among for span, share in BY_SPAN.items()} for magnitude, among in BY_MAGNITUDE.items()}
PLACES = Where([Spot(19.25, -155.25 + column, 0.1) for column in range(5)], 0.5)


class StandIn:
    """A forecaster with memories and forecasts of the usual size, whose numbers mean nothing."""

    name = basis = "stand-in-1"
    rivals = ("poisson", "etas")
    source_depth = 0.0

    def start(self, region: Region) -> bytes:
        return _memory(region.magnitude_of_completeness)

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        (total,) = NUMBER.unpack_from(memory)
        return _memory(0.9 * total + (event.magnitude or 0.0))

    def fold(self, memory: bytes, events: Sequence[Event], region: Region, keep: Sequence[int]) -> list[bytes]:
        memories = []
        for event in events:
            memory = self.observe(memory, event, region)
            memories.append(memory)
        return [memories[position] for position in keep]

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        (total,) = NUMBER.unpack_from(memory)
        hours = round(1.0 + total / 30.0, 6)
        quantiles = {"0.05": hours / 20.0, "0.25": hours / 3.0, "0.5": hours, "0.75": 2.0 * hours, "0.95": 4.0 * hours}
        wait = Wait(hours, quantiles, BY_SPAN, 24.0 / hours)
        magnitude = Magnitude(2.8, {"0.05": 2.52, "0.25": 2.63, "0.5": 2.8, "0.75": 3.1, "0.95": 3.8}, BY_MAGNITUDE)
        return Expectation(wait, magnitude, now.plus(hours=1.0), PLACES, Exceedance(LARGE, LARGE))

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        return (Hazard((until - since) / MILLISECONDS_PER_DAY, 0.1, 0.05),) * 3


def _memory(number: float) -> bytes:
    return NUMBER.pack(number).ljust(MEMORY_BYTES, b"\x5a")


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log = open_log(sys.argv[1])
    worker = Worker(log, open_store(sys.argv[1], log), RegionTable.load(), StandIn(), rules=load_rules())
    worker.run(stop.is_set)
    worker.close()


if __name__ == "__main__":
    main()

"""The input of the measurements: some months of the recorded feed, or a simulated sequence where the recorded feed is not there."""

from __future__ import annotations

from pathlib import Path

from ingest.backfill import backfill_to_file
from ingest.bus import EVENTS, open_log
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import RegionTable
from ingest.simulated import Sequence
from stream.replay import HEARTBEAT_SECONDS, copy_log, publish_files
from stream.replay_span import Span
from tests.support.paths import RECORDED

FIRST_MONTH = (2022, 7)


def write_input(months: int, folder: Path) -> tuple[str, int]:
    """Write the input to an embedded log in a folder. Returns its URL and the number of its records."""
    bus = f"sqlite:///{folder}/input.db"
    log = open_log(bus)
    publisher = Publisher(log, RegionTable.load(), name="replay", why_not_live="replay")
    publish_files(_files(months, folder), publisher, Span(), HEARTBEAT_SECONDS, lambda count, moment: None)
    records = sum(log.ends(EVENTS).values())
    publisher.close()
    log.close()
    return bus, records


def copy_to(bus: str, source: str) -> str:
    """Copy the input to another log, and return its URL."""
    log = open_log(bus)
    copy_log(source, log, Span(), lambda count, moment: None)
    log.close()
    return bus


def _files(months: int, folder: Path) -> list[Path]:
    changelog = RECORDED / "data" / "feed" / "changelog"
    if changelog.is_dir():
        year, first = FIRST_MONTH
        numbers = [(year + (first - 1 + n) // 12, (first - 1 + n) % 12 + 1) for n in range(months)]
        return [changelog / f"changes_{of_year}-{month:02d}.csv.xz" for of_year, month in numbers]
    print("the recorded feed is not here (../shared/data): a simulated sequence instead", flush=True)
    sequence = Sequence(Instant.parse("2022-07-01"), days=30.0 * months)
    backfill_to_file(folder / "simulated.csv", iter(sequence.events))
    return [folder / "simulated.csv"]

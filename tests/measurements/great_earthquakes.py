"""The magnitude alerts of every large earthquake of the recorded change log: how many, how often revised, how many withdrawn.

    python -m tests.measurements.great_earthquakes                   # M 6.5 and larger of 27 months: about ten minutes
    python -m tests.measurements.great_earthquakes --from 2023-02 --to 2023-02 --magnitude 6

The change log passes through ingest's ledger and a worker's partitions with the built-in rules for magnitudes. They look at no probability,
so a forecaster of the tests stands in for the model.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from typing import NamedTuple

import msgspec

from ingest.event import Change
from ingest.region import BUILT_IN, RegionTable, partition_of
from stream.alerts import load_rules
from stream.partition import Partition
from stream.records import Alert
from tests.measurements.association import add_months, changes_of, months_of
from tests.support.simulated import SumForecaster

PARTITIONS = 6
NEVER_DUE_HOURS = 1e6


class Versions(NamedTuple):
    """What the log said of one earthquake."""

    changes: list[Change]

    @property
    def largest(self) -> float:
        return max((change.event.magnitude or 0.0 for change in self.changes if change.event is not None), default=0.0)

    @property
    def ids(self) -> set[str]:
        return {one for change in self.changes if change.event is not None for one in (change.id, *change.event.other_ids)}


def read(months: list[str]) -> tuple[dict[str, Versions], dict[str, list[Alert]]]:
    """Return, by id of the earthquake, what the log and the alerts say of it."""
    table = RegionTable.load(BUILT_IN)
    rules = tuple(rule for rule in load_rules() if rule.kind == "magnitude")
    parts = [Partition(number, table, SumForecaster(due_hours=NEVER_DUE_HOURS), rules=rules) for number in range(PARTITIONS)]
    versions: dict[str, Versions] = defaultdict(lambda: Versions([]))
    alerts: dict[str, list[Alert]] = defaultdict(list)
    for change in changes_of(months):
        part = parts[partition_of(change.region, PARTITIONS)]
        numbered = msgspec.structs.replace(change, sequence=part.position.sequence + 1)
        versions[change.id].changes.append(numbered)
        for record, _ in part.take(numbered, part.position.offset):
            if isinstance(record, Alert):
                alerts[record.events[0]].append(record)
        part.mark_saved()
    return versions, alerts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_months(parser)
    parser.add_argument("--magnitude", type=float, default=6.5, help="from this magnitude on, in any version")
    options = parser.parse_args()
    versions, alerts = read(months_of(options))
    print(f"{'id':15}{'origin time':26}{'largest':>8}{'last':>6}{'ids':>5}{'versions':>10}{'alerts':>8}{'updates':>9}{'retractions':>13}")
    totals: Counter[str] = Counter()
    for earthquake_id, told in versions.items():
        if told.largest < options.magnitude:
            continue
        last = [change.event for change in told.changes if change.event is not None][-1]
        kinds = Counter(alert.alert_type for alert in alerts[earthquake_id])
        totals += kinds
        totals["earthquakes"] += 1
        totals["came under more than one id"] += len(told.ids) > 1
        is_gone = told.changes[-1].event is None
        print(
            f"{earthquake_id:15}{last.time!s:26}{told.largest:8.1f}{last.magnitude or 0.0:6.1f}{len(told.ids):5}{len(told.changes):10}"
            f"{kinds['initial']:8}{kinds['update']:9}{kinds['retraction']:13}{'  gone' if is_gone else ''}"
        )
    print(", ".join(f"{name} {count}" for name, count in totals.items()))


if __name__ == "__main__":
    main()

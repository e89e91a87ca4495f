"""How soon commands and a worker begin: wall time, medians of alternating runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from ingest.bus import FORECASTS, open_log
from ingest.publish import Publisher
from ingest.region import RegionTable, partition_of
from tests.measurements.bench.figures import Figure, Group, beside
from tests.measurements.bench.latency import REGION, change_of
from tests.measurements.bench.processes import running, worker_arguments
from tests.support.stand_ins import program
from tests.support.waiting import wait_until

NOTHING = [sys.executable, "-c", "pass"]


def commands(months: int, runs: int) -> list[Figure]:
    """Measure commands that only say how they are used."""
    del months
    seconds: dict[str, list[float]] = {}
    calls = {"": NOTHING, "--help": [program(), "--help"], "tail --help": [program(), "tail", "--help"]}
    for _ in range(2 * runs + 1):
        for name, command in calls.items():
            began = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
            seconds.setdefault(name, []).append(time.monotonic() - began)
    aims = {"--help": "≤ 0.3 s", "tail --help": "≤ 0.5 s"}
    return [beside(f"quakecast {name}", "python -c pass", "s", seconds[name], seconds[""], aim) for name, aim in aims.items()]


def worker(months: int, runs: int) -> list[Figure]:
    """Measure a worker on the embedded log, from its start to the forecast of a record that waits for it."""
    del months
    seconds: list[float] = []
    with tempfile.TemporaryDirectory(prefix="quakecast-bench-") as folder:
        bus = f"sqlite:///{folder}/log.db"
        log, publisher = open_log(bus), Publisher(open_log(bus), RegionTable.load(), name="replay", why_not_live="replay")
        partition = partition_of(REGION, len(publisher.sequences))
        for number in range(runs + 1):
            end = log.ends(FORECASTS)[partition]
            publisher.publish([change_of(number)])
            began = time.monotonic()
            with running(*worker_arguments(bus, bus)):
                wait_until(
                    lambda end=end: log.ends(FORECASTS)[partition] > end,  # type: ignore[misc]
                    "a forecast",
                    meanwhile=lambda: time.sleep(0.005),
                )
                seconds.append(time.monotonic() - began)
    return [beside("a worker, from its start to its first forecast", "", "s", seconds[1:], [], "≤ 2 s")]


GROUPS = (Group("commands", commands), Group("worker", worker))

"""The speed of one step of the core: California, M ≥ 2.5, an event each two minutes, the built-in model with its CNN.

    python -m tests.measurements.core_speed [--before FOLDER] [-o FILE.json]

Events come by `stream.core.step`, without a log or a store; times are processor time. `--before` names a checkout of an earlier version
(`git worktree add FOLDER COMMIT`): the same steps run there too, in processes that alternate with those of this version, and the table has
both and their ratio. Each figure is the median over the processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.event import Change, Event, Heartbeat
from ingest.instant import Instant
from ingest.region import RegionTable
from models.forecaster import ModelLibrary
from stream.core import RegionContext, Step, Window, first_state, on_change, on_heartbeat, take_over
from tests.support.paths import ROOT

BEGINNING = Instant.parse("2023-02-01T00:00:00Z")
MINUTES_BETWEEN = 2.0
WINDOWS = (300, 1_000, 10_000)
LATE_MINUTES = {"an event 100 minutes late": 100.0, "an event 33 hours late": 2_000.0}
STEPS_BEFORE = 200
REPEATS = 40
BEATS = 200
RUNS = 3


class Driver:
    """A region's state, and the records that move it.

    Args:
        count: of events in the window; the last `STEPS_BEFORE` of them came one by one.
    """

    def __init__(self, count: int) -> None:
        region = RegionTable.load()["california"]
        self._context = RegionContext(region, 0, ModelLibrary(Path).own)
        self._rng, self._number, self._minutes = random.Random(7), 0, 0.0
        first = Window.of([self._event((n + 1) * MINUTES_BETWEEN) for n in range(count - STEPS_BEFORE)])
        self._minutes = (count - STEPS_BEFORE) * MINUTES_BETWEEN
        state = first_state(self._context.forecaster, region)._replace(window=first, due_at=BEGINNING)
        self._state = take_over(state, self._context, _at(self._minutes))
        for _ in range(STEPS_BEFORE):
            self.follow()

    def follow(self) -> float:
        """Apply the next event in order; return the seconds that it took."""
        self._minutes += MINUTES_BETWEEN
        return self._apply(self._minutes)

    def come_late(self, minutes: float) -> float:
        """Apply an event that became known so many minutes after its origin, and return the seconds."""
        return self._apply(self._minutes + 0.5 - minutes)

    def beat(self) -> float | None:
        """Apply a heartbeat ten minutes later; return the seconds that it took, or None if no forecast was due."""
        self._minutes, self._number = self._minutes + 10.0, self._number + 1
        now, is_due = _at(self._minutes), _at(self._minutes) >= (self._state.due_at or BEGINNING)
        seconds = self._time(lambda: on_heartbeat(self._state, Heartbeat(self._number, now, "usgs"), self._context, now))
        return seconds if is_due else None

    def _apply(self, origin_minutes: float) -> float:
        event, now = self._event(origin_minutes), _at(self._minutes + 0.5)
        change = Change(self._number, "added", "california", now, "usgs", event.id, event)
        return self._time(lambda: on_change(self._state, change, self._context, now))

    def _event(self, minutes: float) -> Event:
        self._number += 1
        magnitude = min(round(2.5 + self._rng.expovariate(2.3), 1), 6.5)
        latitude, longitude = round(self._rng.gauss(36.0, 0.1), 4), round(self._rng.gauss(-118.0, 0.1), 4)
        time = _at(minutes)
        return Event(f"ci{self._number}", time, time, latitude, longitude, 8.0, magnitude, "ml", "earthquake", "reviewed", "ci", "")

    def _time(self, step: Callable[[], Step]) -> float:
        began = time.process_time()
        after = step().state
        seconds = time.process_time() - began
        self._state = after
        return seconds


def _at(minutes: float) -> Instant:
    return BEGINNING.plus(seconds=60.0 * minutes)


def measure(windows: Sequence[int]) -> dict[str, float]:
    """Return the milliseconds of each kind of step, medians over repetitions, and of the heartbeats the worst, too."""
    rows = dict[str, float]()
    for count in windows:
        driver = Driver(count)
        rows[f"an event in order, {count:,} in the window"] = statistics.median(driver.follow() for _ in range(REPEATS))
        for name, minutes in LATE_MINUTES.items():
            if minutes < count * MINUTES_BETWEEN / 2:
                rows[f"{name}, {count:,} in the window"] = statistics.median(driver.come_late(minutes) for _ in range(REPEATS // 4))
        beats = [seconds for _ in range(BEATS) if (seconds := driver.beat()) is not None]
        rows[f"a heartbeat that is due, {count:,} in the window"] = statistics.median(beats)
        rows[f"the slowest heartbeat, {count:,} in the window"] = max(beats)
    return {name: 1e3 * seconds for name, seconds in rows.items()}


def measure_elsewhere(folder: Path, windows: Sequence[int]) -> dict[str, float]:
    """Measure in a process of its own, with the code of a checkout."""
    command = [sys.executable, str(Path(__file__).resolve()), "--here", "--windows", *map(str, windows)]
    environment = os.environ | {"PYTHONPATH": str(folder.resolve()), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    measured: dict[str, float] = json.loads(ran.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--windows", type=int, nargs="+", default=list(WINDOWS))
    parser.add_argument("--here", action="store_true", help="measure once, in this process, and print JSON")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.windows)))
        return
    versions = {"now": ROOT} | ({"before": options.before} if options.before else {})
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
    for _ in range(RUNS):
        for name, folder in versions.items():
            runs[name].append(measure_elsewhere(folder, options.windows))
    rows = {row: {name: statistics.median(run[row] for run in runs[name]) for name in versions} for row in runs["now"][0]}
    for row, values in rows.items():
        ratio = f"{values['before']:9.2f} ms before {values['before'] / values['now']:6.1f} x" if "before" in values else ""
        print(f"{row:56} {values['now']:9.2f} ms {ratio}", flush=True)
    if options.output:
        options.output.write_text(json.dumps({"unit": "ms", "runs": RUNS, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

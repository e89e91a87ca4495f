"""No forecast of recorded spans contradicts itself: the days of the Türkiye M 7.8, the false M 6.2 at Chignik, and a quiet week.

`QUAKECAST_SHOW_HOURS=168` looks at whole weeks (some minutes each); without it at the first hours, around the large events.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.instant import Instant
from stream.core import flaw_of
from tests.measurements.contradictions import falls_of, read_forecasts

HOURS = float(os.environ.get("QUAKECAST_SHOW_HOURS", "8"))
SPANS = {
    "turkiye": ("2023-02", "2023-02-03T00:00:00Z" if HOURS > 100 else "2023-02-05T22:00:00Z"),
    "chignik": ("2023-04", "2023-04-29T16:00:00Z"),
    "quiet": ("2022-11", "2022-11-07T00:00:00Z"),
}
"""By name, the month of the recorded feed and where the span begins."""


@pytest.mark.parametrize("name", SPANS)
def test_no_recorded_forecast_contradicts_itself_and_an_event_leaves_the_next_as_probable(
    name: str, recorded: Path, tmp_path: Path
) -> None:
    month, start = SPANS[name]
    end = Instant.parse(start).plus(hours=HOURS)
    file, output = recorded / "data" / "feed" / "changelog" / f"changes_{month}.csv.xz", tmp_path / "forecasts.jsonl"
    command = [sys.executable, "-m", "stream.cli", "replay", str(file), "--from", start, "--to", str(end), "-o", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    forecasts = list(read_forecasts(output))
    assert len(forecasts) > 20
    assert [flaw for flaw in map(flaw_of, forecasts) if flaw is not None] == []
    assert max(falls_of(forecasts), default=0.0) < 0.2

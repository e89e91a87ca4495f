"""Draws docs/forecast.png: the forecasts of a replayed simulated sequence. Run it as `python docs/picture.py`."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from ingest.simulated import Sequence
from stream.records import Forecast, decode_forecast

FILE = Path(__file__).with_name("forecast.png")
REGION = "california"
START, DAYS, MAINSHOCK_AFTER_DAYS, SEED = Instant.parse("2025-06-01"), 12.0, 4.0, 7
COLUMNS = ("time", "latitude", "longitude", "depth", "mag", "magType", "net", "id", "updated", "place", "type", "status")
BLUE, GREY, RED = "#1f5fa8", "#777777", "#c0392b"


class Story(NamedTuple):
    """The data of the picture: a region's events, and its forecasts as they were issued."""

    events: list[Event]
    forecasts: list[Forecast]


def story() -> Story:
    """Simulate a sequence, write it as a catalogue, and replay it with the command."""
    table = RegionTable.load()
    events = Sequence(START, DAYS, SEED, mainshock_after_days=MAINSHOCK_AFTER_DAYS).events
    with tempfile.TemporaryDirectory() as folder:
        catalogue, output = Path(folder, "simulated.csv"), Path(folder, "forecasts.jsonl")
        _write(catalogue, events)
        subprocess.run([sys.executable, "-m", "stream.cli", "replay", str(catalogue), "-o", str(output)], check=True)
        forecasts = [decode_forecast(line) for line in output.read_bytes().splitlines()]
    here = [event for event in events if table.region_of(event.latitude, event.longitude).id == REGION]
    return Story(here, [forecast for forecast in forecasts if forecast.region == REGION])


def _write(path: Path, events: list[Event]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for e in events:
            when_and_where = (e.time, e.latitude, e.longitude, e.depth_km, e.magnitude, e.magnitude_type)
            table.writerow((*when_and_where, e.network, e.id, e.updated, e.place, e.type, e.status))


def days(moment: Instant) -> float:
    """Return the days since the mainshock."""
    return (moment - START) / MILLISECONDS_PER_DAY - MAINSHOCK_AFTER_DAYS


def draw(said: Story, path: Path) -> None:
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(8.4, 4.0), sharex=True, height_ratios=(3, 2), layout="constrained")
    _draw_forecasts(upper, said.forecasts)
    _draw_events(lower, said.events)
    figure.savefig(path, facecolor="white", dpi=120, metadata={"Software": None})


def _draw_forecasts(axes: Any, forecasts: list[Forecast]) -> None:
    moments = [days(forecast.issued_at) for forecast in forecasts]
    axes.step(moments, [forecast.wait.probability_within["1h"] for forecast in forecasts], where="post", color=BLUE, lw=1.1)
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("P(an event of M ≥ 2.5\nwithin an hour)")
    axes.axvline(0, color=RED, lw=0.8, ls=":")
    axes.set_title("A simulated sequence, and what quakecast said of it as it unfolded", loc="left")


def _draw_events(axes: Any, events: list[Event]) -> None:
    axes.vlines([days(e.time) for e in events], 2.0, [e.magnitude or 0.0 for e in events], color=GREY, lw=0.6)
    largest = max(events, key=lambda event: event.magnitude or 0.0)
    axes.plot(days(largest.time), largest.magnitude, "*", color=RED, ms=9)
    axes.annotate(
        f"mainshock, M {largest.magnitude}", (days(largest.time), largest.magnitude), (8, -3), textcoords="offset points", color=RED
    )
    axes.set_ylim(2.0, 7.5)
    axes.set_ylabel("magnitude")
    axes.set_xlabel("days since the mainshock")


if __name__ == "__main__":
    draw(story(), Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)

"""Pictures of the page over the recorded feed, for docs/pictures.

    python -m tests.shows.page_pictures --recorded ../shared                   all, in a quarter of an hour or more, because of the outlooks
    python -m tests.shows.page_pictures --recorded ../shared --only chignik    one episode

Türkiye before the M 7.8, ten minutes and a day after it, on a phone, a tablet and a desktop, light and dark; the false alert at Chignik and
its retraction. The recorded feed has a hole from 6 to 48 minutes after the M 7.8: "ten minutes after" counts from the time at which it was
first shown. The feed's clock runs fast between the moments, and at the pace of real time while outlooks are simulated and pictures taken:
a feed that stands still is stale.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page

from ingest.instant import Instant
from tests.shows.live_page import Running, running, up, wait_for_forecasts
from tests.support.chromium import chromium, visit
from tests.support.paths import ROOT
from tests.support.recorded_feed import RecordedFeed, recorded_feed
from tests.support.waiting import wait_until

PICTURES = ROOT / "docs" / "pictures"
FAST, REAL_TIME = 1200.0, 1.0
POLL_SECONDS = 0.1
OUTLOOKS_SECONDS = 1800.0
"""Time limit for simulations."""
SETTLED_SECONDS = 8.0
"""Pause until the forecasts of what the feed shows are drawn on the page."""
COLOURS = 256
"""Colours of a saved picture: enough for its text and map, in a third of the bytes."""


class View(NamedTuple):
    """A window in which pictures are taken."""

    width: int
    height: int
    dark: bool = False

    @property
    def name(self) -> str:
        return f"{self.width}-dark" if self.dark else str(self.width)


DESKTOP, TABLET, PHONE = View(1440, 900), View(768, 1024), View(390, 844)
DARK = tuple(view._replace(dark=True) for view in (DESKTOP, TABLET, PHONE))


class Moment(NamedTuple):
    """The time of a picture, and what it shows."""

    at: str
    name: str
    region: str
    outlook_since: str | None = None
    """Wait for an outlook of the region that was issued no earlier."""
    whole: bool = False
    """Take the whole page on a desktop, too, however long."""
    alerts: str | None = None
    """Unfold all alerts, and scroll to the first one of this standing."""


class Episode(NamedTuple):
    """A part of the recorded feed, and its pictures."""

    start: str
    regions: int
    """How many regions have a forecast before the clock runs."""
    moments: tuple[Moment, ...]
    views: tuple[View, ...] = (DESKTOP, PHONE)


EPISODES = {
    "turkiye": Episode(
        "2023-02-06T00:30:00Z",
        20,
        (
            Moment("2023-02-06T01:15:00Z", "turkiye-before", "turkiye"),
            Moment("2023-02-06T02:16:00Z", "turkiye-ten-minutes-after", "turkiye", "2023-02-06T02:05:00Z"),
            Moment("2023-02-07T01:20:00Z", "turkiye-a-day-after", "turkiye", "2023-02-07T01:10:00Z", whole=True),
        ),
        (DESKTOP, TABLET, PHONE, *DARK),
    ),
    "chignik": Episode(
        "2023-04-29T04:00:00Z",
        20,
        (
            Moment("2023-04-29T16:47:00Z", "chignik-alert", "alaska", alerts="active"),
            Moment("2023-04-29T17:35:00Z", "chignik-retraction", "alaska", alerts="retracted"),
        ),
    ),
}


def set_speed(feed: RecordedFeed, speed: float) -> None:
    urllib.request.urlopen(f"{feed.address}/_clock?speed={speed}").read()


def save_picture(page: Page, name: str, whole: bool = False) -> None:
    """Save one picture with few colours."""
    path = PICTURES / f"{name}.png"
    with Image.open(io.BytesIO(page.screenshot(full_page=whole))) as picture:
        few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
    sys.stderr.write(f"{path.name}\n")


def run_to(process: Running, feed: RecordedFeed, moment: Moment) -> None:
    """Run the clock to the moment, and wait for its forecasts and its outlook."""
    end = Instant.parse(moment.at)
    set_speed(feed, FAST)
    wait_until(lambda: feed.now() >= end.plus(seconds=-FAST * 0.3), moment.at, seconds=600)
    set_speed(feed, REAL_TIME)
    feed.move_clock(moment.at)
    reached = end.plus(seconds=-180)
    wait_until(lambda: Instant.parse(process.get("/v1/status")["stream_time"]) >= reached, "the stream at the moment", seconds=60)
    wait_until(lambda: process.get("/v1/status")["lag_records"] == 0, "the forecasts at the moment", seconds=120)
    since = None if moment.outlook_since is None else Instant.parse(moment.outlook_since)
    wait_until(lambda: since is None or outlook_time(process, moment.region) >= since, "its outlook", seconds=OUTLOOKS_SECONDS)


def take_pictures(browser: Browser, process: Running, moment: Moment, view: View) -> None:
    """Take the pictures of one window."""
    with visit(browser, process.address, (view.width, view.height), view.dark) as visitor:
        page = visitor.open(f"/#{moment.region}")
        page.wait_for_timeout(SETTLED_SECONDS * 1000)
        if moment.alerts is not None:
            page.locator(".fold").evaluate_all("folds => folds.forEach(fold => { fold.open = true })")
            page.locator(f".alert.{moment.alerts}").first.scroll_into_view_if_needed()
        save_picture(page, f"{moment.name}-{view.name}")
        if view != DESKTOP:
            return
        if moment.whole:
            save_picture(page, f"{moment.name}-whole", whole=True)
        if moment.outlook_since is not None:
            page.locator(".spans").evaluate("charts => charts.parentElement.parentElement.scrollIntoView()")
            save_picture(page, f"{moment.name}-outlook")


def outlook_time(process: Running, region: str) -> Instant:
    """Return when a region's latest outlook was issued, 1970 if there is none."""
    outlook = process.get(f"/v1/regions/{region}")["outlook"]
    return Instant(0) if outlook is None else Instant.parse(outlook["issued_at"])


def take_episode(episode: Episode, recorded: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="quakecast-pictures-") as name, recorded_feed(recorded, episode.start, REAL_TIME) as feed:
        folder = Path(name)
        outlooks = any(moment.outlook_since is not None for moment in episode.moments)
        arguments = up(f"sqlite:///{folder}/page.db", feed.address, POLL_SECONDS, outlooks)
        with running(arguments, folder) as process, chromium() as browser:
            wait_for_forecasts(process, episode.regions)
            for moment in episode.moments:
                run_to(process, feed, moment)
                for view in episode.views:
                    take_pictures(browser, process, moment, view)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=Path, default=Path("../shared"), help="the folder with data/ and tools/")
    parser.add_argument("--only", choices=sorted(EPISODES))
    given = parser.parse_args(arguments)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, episode in EPISODES.items():
        if given.only in (None, name):
            take_episode(episode, given.recorded)


if __name__ == "__main__":
    main()

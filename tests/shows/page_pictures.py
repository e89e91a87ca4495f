"""Pictures of the page over the recorded feed, for docs/pictures.

    python -m tests.shows.page_pictures --recorded ../shared                   all, in a quarter of an hour or more, because of the outlooks
    python -m tests.shows.page_pictures --recorded ../shared --only chignik    one episode

Türkiye before the M 7.8, ten minutes and a day after it; the false alert at Chignik and its retraction. The recorded feed has a hole from
6 to 48 minutes after the M 7.8: "ten minutes after" counts from the time at which it was first shown. The feed's clock runs fast between
the moments and stands still while a picture is taken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from ingest.instant import Instant
from tests.shows.live_page import Running, running, up, wait_for_forecasts
from tests.support.chromium import DESKTOP, PHONE, chromium, visit
from tests.support.paths import ROOT
from tests.support.recorded_feed import RecordedFeed, recorded_feed
from tests.support.waiting import wait_until

PICTURES = ROOT / "docs" / "pictures"
FAST, STILL = 1200.0, 0.0
POLL_SECONDS = 0.1
OUTLOOKS_SECONDS = 1800.0
"""Time limit for simulations; the feed's clock stands still meanwhile."""
SETTLED_SECONDS = 8.0
"""Pause until the forecasts of what the feed shows are drawn on the page."""


class Moment(NamedTuple):
    """The time of a picture, and what it shows."""

    at: str
    name: str
    region: str
    outlook_since: str | None = None
    """Wait for an outlook of the region that was issued no earlier."""
    whole: bool = False
    """The whole page, however long, instead of its first screen."""


class Episode(NamedTuple):
    """A part of the recorded feed, and its pictures."""

    start: str
    regions: int
    """How many regions have a forecast before the clock runs."""
    moments: tuple[Moment, ...]


EPISODES = {
    "turkiye": Episode(
        "2023-02-06T00:30:00Z",
        20,
        (
            Moment("2023-02-06T01:15:00Z", "turkiye-before", "turkiye"),
            Moment("2023-02-06T02:16:00Z", "turkiye-ten-minutes-after", "turkiye", "2023-02-06T02:05:00Z"),
            Moment("2023-02-07T01:20:00Z", "turkiye-a-day-after", "turkiye", "2023-02-07T01:10:00Z", whole=True),
        ),
    ),
    "chignik": Episode(
        "2023-04-29T04:00:00Z",
        20,
        (
            Moment("2023-04-29T16:47:00Z", "chignik-alert", "alaska"),
            Moment("2023-04-29T17:35:00Z", "chignik-retraction", "alaska"),
        ),
    ),
}


def set_speed(feed: RecordedFeed, speed: float) -> None:
    urllib.request.urlopen(f"{feed.address}/_clock?speed={speed}").read()


def save_picture(page: Page, name: str, whole: bool = False) -> None:
    """Save one picture."""
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=whole)
    sys.stderr.write(f"{path.name}\n")


def take_pictures(browser: Browser, process: Running, feed: RecordedFeed, moment: Moment, desktop: Page) -> None:
    """Run the clock to the moment, stop it, and take the pictures of the desktop and of the phone."""
    end = Instant.parse(moment.at)
    set_speed(feed, FAST)
    wait_until(lambda: feed.now() >= end.plus(seconds=-FAST * 0.3), moment.at, seconds=600)
    set_speed(feed, STILL)
    feed.move_clock(moment.at)
    reached = end.plus(seconds=-180)
    wait_until(lambda: Instant.parse(process.get("/v1/status")["stream_time"]) >= reached, "the stream at the moment", seconds=60)
    wait_until(lambda: process.get("/v1/status")["lag_records"] == 0, "the forecasts at the moment", seconds=120)
    since = None if moment.outlook_since is None else Instant.parse(moment.outlook_since)
    wait_until(lambda: since is None or outlook_time(process, moment.region) >= since, "its outlook", seconds=OUTLOOKS_SECONDS)
    desktop.wait_for_timeout(SETTLED_SECONDS * 1000)
    save_picture(desktop, f"{moment.name}-desktop", moment.whole)
    if since is not None:
        desktop.locator("table.outlook").evaluate("table => table.scrollIntoView({ block: 'center' })")
        save_picture(desktop, f"{moment.name}-outlook")
        desktop.evaluate("window.scrollTo(0, 0)")
    with visit(browser, process.address, PHONE) as phone:
        page = phone.open(f"/#{moment.region}")
        page.wait_for_timeout(SETTLED_SECONDS * 1000)
        save_picture(page, f"{moment.name}-phone", moment.whole)


def outlook_time(process: Running, region: str) -> Instant:
    """Return when a region's latest outlook was issued, 1970 if there is none."""
    outlook = process.get(f"/v1/regions/{region}")["outlook"]
    return Instant(0) if outlook is None else Instant.parse(outlook["issued_at"])


def take_episode(episode: Episode, recorded: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="quakecast-pictures-") as name, recorded_feed(recorded, episode.start, STILL) as feed:
        folder = Path(name)
        outlooks = any(moment.outlook_since is not None for moment in episode.moments)
        arguments = up(f"sqlite:///{folder}/page.db", feed.address, POLL_SECONDS, outlooks)
        with running(arguments, folder) as process, chromium() as browser:
            wait_for_forecasts(process, episode.regions)
            with visit(browser, process.address, DESKTOP) as visitor:
                page = visitor.open(f"/#{episode.moments[0].region}")
                for moment in episode.moments:
                    take_pictures(browser, process, feed, moment, page)


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

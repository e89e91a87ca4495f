"""Pictures of the page over the recorded feed, for docs/pictures: Türkiye before the M7.8, ten minutes after it, a day after; Chignik's
false alarm and its retraction. `python -m tests.shows.page_pictures --recorded ../shared`, with `--only turkiye` or `--only chignik`;
a quarter
of an hour and more, for the outlooks.

The recorded feed has a hole from six minutes after the M7.8 to 48 minutes after it: ten minutes after means after it was first shown.
The feed's clock runs fast between the moments and stands still while a picture is taken.
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
from tests.shows.live_page import Running, running, up, wait_until_it_speaks
from tests.support.chromium import DESKTOP, PHONE, chromium, visit
from tests.support.paths import ROOT
from tests.support.recorded_feed import RecordedFeed, recorded_feed
from tests.support.waiting import wait_until

PICTURES = ROOT / "docs" / "pictures"
FAST, STILL = 1200.0, 0.0
POLL_SECONDS = 0.1
OUTLOOKS_SECONDS = 1800.0
"""Simulations take their time, the feed's clock stands still meanwhile."""
SETTLED_SECONDS = 8.0
"""Until what the feed shows is forecast, and on the page."""


class Moment(NamedTuple):
    """When a picture is taken, and of what."""

    at: str
    name: str
    region: str
    outlook_since: str | None = None
    """Wait for an outlook of the region that was issued no earlier."""
    whole: bool = False
    """The whole page, however long, instead of its first screen."""


class Episode(NamedTuple):
    start: str
    regions: int
    """So many have a forecast before the clock runs."""
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


def speed_up(feed: RecordedFeed, speed: float) -> None:
    urllib.request.urlopen(f"{feed.address}/_clock?speed={speed}").read()


def take(page: Page, name: str, whole: bool = False) -> None:
    """Save one picture."""
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=whole)
    sys.stderr.write(f"{path.name}\n")


def picture(browser: Browser, process: Running, feed: RecordedFeed, moment: Moment, desktop: Page) -> None:
    """Let the clock come to the moment, stop it, and take the desktop's and the phone's picture."""
    end = Instant.parse(moment.at)
    speed_up(feed, FAST)
    wait_until(lambda: feed.now() >= end.plus(seconds=-FAST * 0.3), moment.at, seconds=600)
    speed_up(feed, STILL)
    feed.move_clock(moment.at)
    reached = end.plus(seconds=-180)
    wait_until(lambda: Instant.parse(process.get("/v1/status")["stream_time"]) >= reached, "the stream at the moment", seconds=60)
    wait_until(lambda: process.get("/v1/status")["lag_records"] == 0, "the forecasts at the moment", seconds=120)
    since = None if moment.outlook_since is None else Instant.parse(moment.outlook_since)
    wait_until(lambda: since is None or issued(process, moment.region) >= since, "the outlook at the moment", seconds=OUTLOOKS_SECONDS)
    desktop.wait_for_timeout(SETTLED_SECONDS * 1000)
    take(desktop, f"{moment.name}-desktop", moment.whole)
    if since is not None:
        desktop.locator("table.outlook").evaluate("table => table.scrollIntoView({ block: 'center' })")
        take(desktop, f"{moment.name}-outlook")
        desktop.evaluate("window.scrollTo(0, 0)")
    with visit(browser, process.address, PHONE) as phone:
        page = phone.open(f"/#{moment.region}")
        page.wait_for_timeout(SETTLED_SECONDS * 1000)
        take(page, f"{moment.name}-phone", moment.whole)


def issued(process: Running, region: str) -> Instant:
    """When a region's latest outlook was issued; long ago when there is none."""
    outlook = process.get(f"/v1/regions/{region}")["outlook"]
    return Instant(0) if outlook is None else Instant.parse(outlook["issued_at"])


def record(episode: Episode, recorded: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="quakecast-pictures-") as name, recorded_feed(recorded, episode.start, STILL) as feed:
        folder = Path(name)
        outlooks = any(moment.outlook_since is not None for moment in episode.moments)
        arguments = up(f"sqlite:///{folder}/page.db", feed.address, POLL_SECONDS, outlooks)
        with running(arguments, folder) as process, chromium() as browser:
            wait_until_it_speaks(process, episode.regions)
            with visit(browser, process.address, DESKTOP) as visitor:
                page = visitor.open(f"/#{episode.moments[0].region}")
                for moment in episode.moments:
                    picture(browser, process, feed, moment, page)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=Path, default=Path("../shared"), help="the folder with data/ and tools/")
    parser.add_argument("--only", choices=sorted(EPISODES))
    asked = parser.parse_args(arguments)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, episode in EPISODES.items():
        if asked.only in (None, name):
            record(episode, asked.recorded)


if __name__ == "__main__":
    main()

"""The page over the recorded feed: the Türkiye M 7.8, and the false M 6.2 at Chignik."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.shows.live_page import running, up, wait_for_forecasts
from tests.support.chromium import Visit, chromium, visit
from tests.support.recorded_feed import RecordedFeed, recorded_feed
from tests.support.waiting import wait_until

MANY_REGIONS = 15


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def open_page(browser: Browser, recorded: Path, folder: Path, start: str, region: str) -> Iterator[tuple[RecordedFeed, Visit, Page]]:
    """Run the system over the recorded feed, whose clock stands still until the test moves it, and open the page."""
    with recorded_feed(recorded, start, 0.0) as feed, running(up(f"sqlite:///{folder}/page.db", feed.address, 0.1), folder) as process:
        wait_for_forecasts(process, MANY_REGIONS)
        wait_until(lambda: not process.get("/v1/status")["feed"]["catching_up"], "the past", meanwhile=lambda: tick(feed))
        with visit(browser, process.address) as visitor:
            page = visitor.open(f"/#{region}")
            expect(page.locator(".strip")).to_contain_text("connected, another time")
            expect(page.locator(".banner.not-live")).to_contain_text("its data are played back")
            yield feed, visitor, page
            assert (visitor.errors, visitor.failed_responses, visitor.foreign_requests) == ([], [], [])


def tick(feed: RecordedFeed) -> None:
    """Move the feed's clock by some seconds: only a feed that advances has heartbeats, which say when the past has been read."""
    feed.move_clock(str(feed.now().plus(seconds=10)))
    time.sleep(1)


def move_clock(feed: RecordedFeed, times: list[str]) -> None:
    """Move the feed's clock from one time to the next."""
    for moment in times:
        feed.move_clock(moment)


def test_the_mainshock_in_turkiye_appears_with_its_alert_and_the_scrubber_hides_both(
    browser: Browser, recorded: Path, tmp_path: Path
) -> None:
    with open_page(browser, recorded, tmp_path, "2023-02-06T01:00:00Z", "turkiye") as (feed, _, page):
        chance = page.locator('li[data-region="turkiye"] .value')
        before = chance.inner_text()
        move_clock(feed, ["2023-02-06T01:10:30Z"])
        expect(page.locator(".strip")).to_contain_text("01:10 UTC")  # from here it is less than an hour: no gap, after which alerts wait
        move_clock(feed, ["2023-02-06T02:06:30Z"])
        row = page.locator("table.events tbody tr", has_text="M 7.8")
        expect(row).to_have_count(1)
        expect(page.locator(".alert", has_text=re.compile(r"M 7\.8 ")).filter(has_text="Active").first).to_be_visible()
        expect(chance).not_to_have_text(before)
        page.locator('input[type="range"]').focus()
        page.keyboard.press("Home")
        expect(row).to_have_count(0)
        expect(page.locator(".alert", has_text="M 7.8")).to_have_count(0)
        expect(page.locator(".banner.past")).to_be_visible()


def test_the_false_event_at_chignik_shows_an_alert_and_its_retraction_once(browser: Browser, recorded: Path, tmp_path: Path) -> None:
    with open_page(browser, recorded, tmp_path, "2023-04-29T16:30:00Z", "alaska") as (feed, _, page):
        alert = page.locator(".alert", has=page.locator(".headline", has_text="Chignik"))
        expect(alert).to_have_count(0)
        move_clock(feed, ["2023-04-29T16:38:30Z"])
        expect(alert).to_have_count(1)
        expect(alert).to_contain_text("Active")
        move_clock(feed, ["2023-04-29T17:30:30Z"])
        expect(alert).to_contain_text("Retracted on")
        expect(alert).to_have_count(1)
        expect(alert.locator("s.headline")).to_contain_text("Chignik")
        page.get_by_text(re.compile("alerts? retracted$")).click()
        alert.get_by_text(re.compile("revisions$")).click()
        expect(alert.locator(".revisions li", has_text="Issued ")).to_have_count(1)
        expect(alert.locator(".revisions li", has_text="Retracted ")).to_have_count(1)
        expect(page.locator("table.events tbody tr", has_text="Chignik").filter(has_text="M 6.2")).to_have_count(0)

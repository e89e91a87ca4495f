"""The page as a person meets it: a real Chromium, the running system, a feed that changes while it is watched."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from ingest.event import Event
from ingest.simulated import SOURCES
from tests.shows.live_page import NO_FEED, Running, running, up, wait_until_it_speaks
from tests.support.changing_feed import ChangingFeed, changing_feed
from tests.support.chromium import DESKTOP, NARROW_PHONE, PHONE, Visit, chromium, visit
from tests.support.paths import ROOT
from tests.support.stand_ins import csv_of, now, small_sequence

SOON = 120_000
"""Milliseconds within which what the feed says is on the page, on a machine that others use."""
OUTLOOKS_SOON = 300_000
"""Thousands of continuations of each region are rolled forward first."""
REGIONS = 63
TOKEN = "a-token-of-the-tests-0123456789"
AXE = ROOT / "stream" / "serve" / "page" / "node_modules" / "axe-core" / "axe.min.js"
WATCH_LONG_TASKS = """
    window.longest = 0;
    new PerformanceObserver(list => list.getEntries().forEach(task => { window.longest = Math.max(window.longest, task.duration) }))
        .observe({ type: "longtask" });
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def feed() -> Iterator[ChangingFeed]:
    """A day of four regions, up to now."""
    with changing_feed(small_sequence(now().plus(days=-1.0))) as changing:
        yield changing


@pytest.fixture(scope="module")
def live(feed: ChangingFeed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("page")
    with running(up(f"sqlite:///{folder}/page.db", feed.address), folder) as process:
        wait_until_it_speaks(process, len(SOURCES))
        yield process


@pytest.fixture
def seen(browser: Browser, live: Running) -> Iterator[Visit]:
    """A visit on a desktop; afterwards nothing may have gone wrong in it."""
    with visit(browser, live.address) as visitor:
        yield visitor
        assert_clean(visitor)


def assert_clean(visitor: Visit) -> None:
    assert visitor.errors == []
    assert visitor.refused == []
    assert visitor.strangers == [], "the page asked another host"


def shaken(magnitude: float, event_id: str, place: str = "Ridgecrest, CA (simulated)") -> Event:
    """An earthquake in California half a minute ago."""
    moment = now().plus(seconds=-30)
    where = (SOURCES[0].latitude, SOURCES[0].longitude, 8.0)
    return Event(event_id, moment, moment, *where, magnitude, "mw", "earthquake", "automatic", "ci", place)


def is_live(page: Page) -> None:
    expect(page.locator(".strip")).to_contain_text("live", timeout=SOON)
    expect(page.locator(".region-list").get_by_role("option")).to_have_count(REGIONS, timeout=SOON)


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_the_regions_their_forecasts_and_the_state_of_the_stream_appear(seen: Visit) -> None:
    page = seen.open("/#california")
    is_live(page)
    assert page.locator("path.region").count() == REGIONS
    expect(page.get_by_role("heading", name="California", exact=True)).to_be_visible()
    expect(page.locator(".lead")).to_contain_text(re.compile(r"Another event of M 2\.5 or more within an hour: .* %"))
    for title in (
        "Time to the next event",
        "Change over time",
        "Magnitude of the next event",
        "Large events",
        "Where",
        "Why",
        "Outlook",
        "Recent events",
    ):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(page.locator("table.events tbody tr").first).to_be_visible()
    expect(page.locator(".panel")).to_contain_text("Each past event contributes a share of that rate", timeout=SOON)
    expect(page.locator("#calibration")).to_contain_text("Running gain over ETAS")
    expect(page.locator(".strip")).to_contain_text("lstm-")
    expect(page.locator("#disclaimer")).to_contain_text("not predictions")
    assert page.locator(".banner").count() == 0, "nothing is wrong, and nothing is a replay"


def test_an_event_arrives_without_a_reload_and_what_it_says_is_text(seen: Visit, feed: ChangingFeed) -> None:
    page = seen.open("/#california")
    is_live(page)
    page.evaluate("window.notReloaded = true")
    before = page.locator(".lead").inner_text()
    feed.show(shaken(4.7, "cilive1", '<img src="/x" onerror="alert(1)"> Pāhala'))
    row = page.locator("table.events tbody tr", has_text="<img src=").first
    expect(row).to_be_visible(timeout=SOON)
    expect(row).to_contain_text("M 4.7")
    expect(page.locator(".lead")).not_to_have_text(before, timeout=SOON)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.notReloaded")


def test_an_alert_appears_is_told_and_is_retracted_once(seen: Visit, feed: ChangingFeed) -> None:
    page = seen.open("/#california")
    is_live(page)
    page.wait_for_timeout(2_500)  # what was there before is not read out
    feed.show(shaken(6.4, "cifalse1"))
    alert = page.locator(".alert", has_text="6.4")
    expect(alert).to_have_count(1, timeout=SOON)
    expect(alert).to_contain_text("Active")
    expect(page.locator(".spoken")).to_contain_text(re.compile("New alert|Alert revised"))
    feed.withdraw("cifalse1")
    expect(alert).to_contain_text("Retracted on", timeout=SOON)
    expect(alert).to_have_count(1)
    assert alert.locator("s.headline").count() == 1, "struck through"
    alert.get_by_text(re.compile("revisions?$")).click()
    expect(alert.locator(".revisions li", has_text="Retracted ")).to_have_count(1)
    expect(alert.locator(".revisions li", has_text="Issued ")).to_have_count(1)
    expect(page.locator("table.events tbody tr", has_text="M 6.4")).to_have_count(0)


def test_the_outlook_stands_beside_what_came(browser: Browser, feed: ChangingFeed, tmp_path: Path) -> None:
    with running(up(f"sqlite:///{tmp_path}/page.db", feed.address, outlooks=True), tmp_path) as process:
        wait_until_it_speaks(process, len(SOURCES))
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            rows = page.locator("table.outlook tbody tr")
            expect(rows.first).to_be_visible(timeout=OUTLOOKS_SOON)
            expect(page.locator(".panel")).to_contain_text("simulated continuations")
            day = page.get_by_role("row", name=re.compile(r"1 Day, M ≥ 3\b"))
            expect(day).to_contain_text(re.compile(r"%\s*\d+\s*\d+ – \d+\s*\d+\s*(so far within|above)"))
            assert_clean(visitor)


def test_the_keyboard_reaches_everything(seen: Visit) -> None:
    page = seen.open("/#california")
    is_live(page)
    page.locator("#measure").focus()
    page.locator('[aria-label="Find a region"]').focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "option", "the list is one Tab stop"
    page.keyboard.press("Home")
    first = page.evaluate("document.activeElement.dataset.region")
    page.keyboard.press("ArrowDown")
    second, outline = page.evaluate("[document.activeElement.dataset.region, getComputedStyle(document.activeElement).outlineStyle]")
    assert second != first
    assert outline == "solid", "the focus is visible"
    name = page.locator(f'li[data-region="{second}"] .name').inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#region-title")).to_have_text(name)
    expect(page.locator("#region-title")).to_be_focused()
    expect(page.locator(f'li[data-region="{second}"]')).to_have_attribute("aria-selected", "true")


def test_the_scrubber_moves_into_the_past_and_back(seen: Visit) -> None:
    page = seen.open("/#california")
    is_live(page)
    expect(page.locator(".moment")).to_contain_text("Newest")
    newest = page.locator(".facts").inner_text()
    page.locator('input[type="range"]').focus()
    page.keyboard.press("Home")
    expect(page.locator(".banner.past")).to_contain_text("as it was known then")
    expect(page.locator(".moment")).to_contain_text("As of")
    expect(page.locator(".facts")).not_to_have_text(newest)
    page.get_by_role("button", name="Newest").click()
    expect(page.locator(".banner.past")).to_have_count(0)


@pytest.mark.parametrize("size", [PHONE, NARROW_PHONE], ids=["390", "360"])
def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, live: Running, size: tuple[int, int]) -> None:
    with visit(browser, live.address, size) as visitor:
        page = visitor.open("/#california")
        is_live(page)
        expect(page.locator(".lead")).to_be_visible()
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true }")
        assert overflow(page) <= 0
        assert_clean(visitor)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_barrier(browser: Browser, live: Running, dark: bool) -> None:
    """The checks of WCAG 2.1 AA that a machine can make: contrast, names, roles, landmarks."""
    with visit(browser, live.address, DESKTOP, dark) as visitor:
        page = visitor.open("/#california")
        is_live(page)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found: Any = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
        assert len(found["passes"]) > 10
        problems = [(problem["id"], node["html"][:160]) for problem in found["violations"] for node in problem["nodes"]]
        assert problems == []


def test_hundreds_of_events_at_once_leave_it_usable(browser: Browser, live: Running, feed: ChangingFeed) -> None:
    with visit(browser, live.address) as visitor:
        page = visitor.open("/#california")
        is_live(page)
        page.evaluate(WATCH_LONG_TASKS)
        burst = [msgspec.structs.replace(shaken(2.6, f"ciburst{n}"), longitude=-117.6 + n / 1000) for n in range(400)]
        for event in burst:
            feed.show(event)
        expect(page.locator("table.events").locator("xpath=..").locator("xpath=..")).to_contain_text(
            re.compile(r"[45]\d\d events in the last"), timeout=SOON
        )
        page.locator('li[data-region="hawaii"]').click()
        expect(page.locator("#region-title")).to_have_text("Hawaii")
        longest = page.evaluate("window.longest")
        assert longest < 1_000, f"the page stood still for {longest} ms"
        assert_clean(visitor)
        for event in burst:
            feed.withdraw(event.id)


def test_a_server_that_comes_back_is_found_again_and_a_feed_that_is_gone_is_told(
    browser: Browser, feed: ChangingFeed, tmp_path: Path
) -> None:
    bus = f"sqlite:///{tmp_path}/page.db"
    with running(up(bus, feed.address), tmp_path) as process:
        wait_until_it_speaks(process, len(SOURCES))
        port = process.port
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            is_live(page)
            page.evaluate("window.notReloaded = true")
            process.stop()
            expect(page.locator(".banner.cut-off")).to_contain_text("Not connected", timeout=SOON)
            with running(up(bus, NO_FEED), tmp_path, port) as again:
                wait_until_it_speaks(again, len(SOURCES))
                expect(page.locator(".banner.cut-off")).to_have_count(0, timeout=SOON)
                expect(page.locator(".banner.stale")).to_contain_text("The feed is stale", timeout=SOON)
                assert page.evaluate("window.notReloaded")
            assert visitor.strangers == []


def oldest_moment(page: Page) -> str:
    """Returns the label of the slider at its left end."""
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.locator(".moment")).to_contain_text("As of")
    return page.locator(".moment").inner_text()


def days_between(earlier: str, later: str) -> float:
    first, second = (datetime.strptime(words, "As of %d %b %Y, %H:%M UTC") for words in (earlier, later))
    return (second - first).total_seconds() / 86_400


def test_a_replay_says_that_it_is_one_and_goes_back_as_far_as_asked(browser: Browser, tmp_path: Path) -> None:
    catalogue, bus = tmp_path / "sequence.csv", f"sqlite:///{tmp_path}/replay.db"
    catalogue.write_bytes(csv_of(small_sequence(now().plus(days=-400.0), days=5.0)))
    subprocess.run([sys.executable, "-m", "stream.cli", "replay", str(catalogue), "--bus", bus], cwd=ROOT, check=True, capture_output=True)
    with running(["serve", "--bus", bus, "--store", bus], tmp_path) as process:
        wait_until_it_speaks(process, len(SOURCES))
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            is_live(page)
            expect(page.locator(".banner")).to_have_count(1)
            expect(page.locator(".banner.replay")).to_contain_text("Replay, not live")
            expect(page.locator("html[data-forecast]")).to_have_count(1, timeout=SOON)  # the stream begins with the earliest
            earliest = oldest_moment(page)
            page.get_by_role("button", name="Load earlier").click()
            expect(page.get_by_role("slider")).not_to_have_value("0", timeout=SOON)  # there is something on its left now
            assert days_between(oldest_moment(page), earliest) == pytest.approx(2.0, abs=0.1)
            assert_clean(visitor)


def test_the_token_is_asked_for_once_and_kept_for_the_session(browser: Browser, feed: ChangingFeed, tmp_path: Path) -> None:
    with running(up(f"sqlite:///{tmp_path}/page.db", feed.address), tmp_path, QUAKECAST_TOKEN=TOKEN) as process:
        wait_until_it_speaks(process, len(SOURCES), TOKEN)
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            page.get_by_role("textbox", name="Token").fill("wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert").filter(has_text="does not accept this token")).to_be_visible(timeout=SOON)
            page.get_by_role("textbox", name="Token").fill(TOKEN)
            page.keyboard.press("Enter")
            is_live(page)
            page.reload()
            is_live(page)
            assert page.get_by_role("dialog").count() == 0
            assert TOKEN not in page.content() + page.url

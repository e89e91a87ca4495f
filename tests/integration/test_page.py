"""The page in a real Chromium over the running system, with a feed that changes meanwhile."""

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

from ingest.bus import EVENTS, MAPS, REGION_PARTITIONS, Outgoing, open_log
from ingest.event import Event, Heartbeat, encode
from ingest.region import RegionTable, partition_of
from ingest.simulated import SOURCES
from stream.client import Client
from stream.records.examples import MAP
from tests.shows.live_page import NO_FEED, Running, running, up, wait_for_forecasts
from tests.support.api_thread import serve_log
from tests.support.changing_feed import ChangingFeed, changing_feed
from tests.support.chromium import DESKTOP, NARROW_PHONE, PHONE, Visit, chromium, visit
from tests.support.paths import ROOT
from tests.support.stand_ins import csv_of, now, small_sequence

OUTLOOKS_MILLISECONDS = 600_000
"""Time limit for the first outlook: thousands of continuations are simulated before."""
REGIONS = 63
TOKEN = "a-token-of-the-tests-0123456789"
AXE = ROOT / "stream" / "serve" / "page" / "node_modules" / "axe-core" / "axe.min.js"
WATCH_LONG_TASKS = """
    window.longest = 0;
    new PerformanceObserver(list => list.getEntries().forEach(task => { window.longest = Math.max(window.longest, task.duration) }))
        .observe({ type: "longtask" });
"""
WAIT_FOR_ANNOUNCEMENTS = "new Promise(done => setTimeout(done, 2_500))"
"""The page announces alerts from two seconds after it is connected on; a later timer of the page itself fires later."""
IS_BEFORE_THE_ALERTS = """
    Boolean(document.activeElement.compareDocumentPosition(document.querySelector("#alerts")) & Node.DOCUMENT_POSITION_FOLLOWING)
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def feed() -> Iterator[ChangingFeed]:
    """Serve a day of four regions, up to now."""
    with changing_feed(small_sequence(now().plus(days=-1.0))) as changing:
        yield changing


@pytest.fixture(scope="module")
def live(feed: ChangingFeed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("page")
    with running(up(f"sqlite:///{folder}/page.db", feed.address), folder) as process:
        wait_for_forecasts(process, len(SOURCES))
        yield process


@pytest.fixture
def desktop(browser: Browser, live: Running) -> Iterator[Visit]:
    """Visit the page on a desktop; afterwards there must be no error."""
    with visit(browser, live.address) as visitor:
        yield visitor
        assert_clean(visitor)


def assert_clean(visitor: Visit) -> None:
    assert visitor.errors == []
    assert visitor.failed_responses == []
    assert visitor.foreign_requests == [], "the page asked another host"


def earthquake(magnitude: float, event_id: str, place: str = "Ridgecrest, CA (simulated)") -> Event:
    """Return an earthquake in California half a minute ago."""
    moment = now().plus(seconds=-30)
    where = (SOURCES[0].latitude, SOURCES[0].longitude, 8.0)
    return Event(event_id, moment, moment, *where, magnitude, "mw", "earthquake", "automatic", "ci", place)


def expect_live(page: Page, words: str = "live") -> None:
    expect(page.locator(".gauge", has_text="This page").locator("dd")).to_have_text(words)
    expect(page.locator(".region-list").get_by_role("option")).to_have_count(REGIONS)


def overflow_pixels(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_the_regions_their_forecasts_and_the_state_of_the_stream_appear(desktop: Visit) -> None:
    page = desktop.open("/#california")
    expect_live(page)
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
    expect(page.locator(".panel")).to_contain_text("Each past event contributes a share of that rate")
    expect(page.locator("#calibration")).to_contain_text("Running gain over ETAS")
    expect(page.locator(".strip")).to_contain_text("lstm-")
    expect(page.locator("#disclaimer")).to_contain_text("not predictions")
    assert page.locator(".banner").count() == 0, "no problem, and no replay"


def test_an_event_appears_without_a_reload_and_its_place_is_shown_as_text(desktop: Visit, feed: ChangingFeed) -> None:
    page = desktop.open("/#california")
    expect_live(page)
    page.evaluate("window.notReloaded = true")
    before = page.locator(".lead").inner_text()
    feed.show(earthquake(4.7, "cilive1", '<img src="/x" onerror="alert(1)"> Pāhala'))
    row = page.locator("table.events tbody tr", has_text="<img src=").first
    expect(row).to_be_visible()
    expect(row).to_contain_text("M 4.7")
    expect(page.locator(".lead")).not_to_have_text(before)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.notReloaded")


def test_an_alert_appears_is_announced_and_is_retracted_once(desktop: Visit, feed: ChangingFeed) -> None:
    page = desktop.open("/#california")
    expect_live(page)
    page.evaluate(WAIT_FOR_ANNOUNCEMENTS)
    feed.show(earthquake(6.4, "cifalse1"))
    alert = page.locator(".alert", has=page.locator(".headline", has_text="M 6.4 earthquake"))
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("Active")
    expect(page.locator(".spoken")).to_contain_text(re.compile("New alert|Alert revised"))
    feed.withdraw("cifalse1")
    expect(alert).to_contain_text("Retracted on")
    expect(alert).to_have_count(1)
    assert alert.locator("s.headline").count() == 1, "struck through"
    expect(alert).to_be_hidden()  # folded, below the active ones
    page.get_by_text(re.compile("alerts? retracted$")).click()
    alert.get_by_text(re.compile("revisions?$")).click()
    expect(alert.locator(".revisions li", has_text="Retracted ")).to_have_count(1)
    expect(alert.locator(".revisions li", has_text="Issued ")).to_have_count(1)
    expect(page.locator("table.events tbody tr", has_text="M 6.4")).to_have_count(0)


def test_a_card_says_what_a_large_earthquake_was_and_what_may_follow_and_links_to_its_source(desktop: Visit, feed: ChangingFeed) -> None:
    page = desktop.open("/#hawaii")
    expect_live(page)
    card = page.locator("#headline")
    expect(card).to_be_hidden()
    first = msgspec.structs.replace(earthquake(6.6, "cigreat1"), url="https://source.example/cigreat1", tsunami=True)
    feed.show(first)
    expect(card.get_by_role("heading", name="M 6.6 Ridgecrest, CA (simulated)")).to_be_visible()
    expect(card).to_contain_text(re.compile(r"Within a day, M 5 or more: \d.* %"))
    expect(card.get_by_role("link", name="The source’s page")).to_have_attribute("href", "https://source.example/cigreat1")
    expect(card.get_by_role("link", name="tsunami.gov")).to_have_attribute("href", "https://www.tsunami.gov/")
    feed.show(msgspec.structs.replace(first, magnitude=6.2, updated=now()))
    expect(card).to_contain_text(re.compile("Magnitude as reported: M 6.6 .*, then M 6.2"))
    card.get_by_role("button", name="California").click()
    expect(page.locator("#region-title")).to_have_text("California")
    feed.withdraw("cigreat1")
    expect(card).to_be_hidden()


def test_the_outlook_is_shown_beside_the_counts_so_far(browser: Browser, feed: ChangingFeed, tmp_path: Path) -> None:
    with running(up(f"sqlite:///{tmp_path}/page.db", feed.address, outlooks=True), tmp_path) as process:
        wait_for_forecasts(process, len(SOURCES))
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            rows = page.locator("table.outlook tbody tr")
            expect(rows.first).to_be_visible(timeout=OUTLOOKS_MILLISECONDS)
            expect(page.locator(".panel")).to_contain_text(re.compile(r"Issued .* ago .*; the next one is due on .* UTC"))
            expect(page.locator(".spans svg")).to_have_count(3)  # a day, a week, a month
            day = page.get_by_role("row", name=re.compile(r"1 Day, M ≥ 3\b"))
            expect(day).to_contain_text(re.compile(r"%\s*\d+\s*\d+ – \d+\s*\d+\s*(so far within|above)"))
            page.locator("#cells").select_option("next week")
            expect(page.locator(".cells-shown")).to_contain_text(re.compile(r"California, M ≥ 2\.5, next week: [\d.,]+ expected"))
            assert_clean(visitor)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a log with one map of California, ten minutes old; yield the address."""
    url, home = f"sqlite:///{tmp_path_factory.mktemp('mapped')}/log.db", partition_of(MAP.region, REGION_PARTITIONS)
    now_heard = Heartbeat(1, MAP.issued_at.plus(seconds=600), "all_day")
    log = open_log(url)
    producer = log.producer("somebody")
    producer.commit([Outgoing(EVENTS, home, b"all_day", encode(now_heard), now_heard.observed_at)])
    producer.commit([Outgoing(MAPS, home, MAP.region.encode(), encode(MAP), MAP.issued_at)])
    producer.close()
    log.close()
    with serve_log(url, RegionTable.load()) as address:
        with Client(address) as client:
            client.status()  # the server answers once it has read the log
        yield address


def largest_cell(page: Page) -> float:
    """Return the number in the first row of the table of the largest cells."""
    page.locator(".cells-shown details").evaluate("element => { element.open = true }")
    return float(page.locator(".cells-shown tbody tr").first.locator("td").nth(1).inner_text())


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True), (NARROW_PHONE, False)], ids=["1440", "390 dark", "360"])
def test_a_map_is_chosen_by_keyboard_and_read(browser: Browser, mapped: str, size: tuple[int, int], dark: bool) -> None:
    with visit(browser, mapped, size, dark) as visitor:
        page = visitor.open("/#california")
        expect_live(page, "connected")  # not live: its clock has stood for long
        page.locator("#measure").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "cells"
        page.keyboard.type("next week")
        shown = page.locator(".cells-shown")
        expect(shown).to_contain_text("California, M ≥ 2.5, next week: 511 expected in the whole region. Issued 10 min ago.")
        expect(shown.locator(".classes li")).to_have_count(8)  # seven colours and their heading
        assert largest_cell(page) == 219.0
        page.locator("#cells-magnitude").select_option("M ≥ 5")
        expect(shown).to_contain_text("California, M ≥ 5, next week: 2 expected")
        assert largest_cell(page) == 0.85
        page.locator("#cells-quantity").select_option("probability of one or more")
        expect(shown.locator(".classes .title")).to_have_text("Probability of one or more in 0.1° × 0.1°:")
        page.locator("#cells").select_option("next year")
        expect(shown).to_have_text(re.compile("This map does not reach so far"))
        page.locator("#cells").select_option("next day")
        assert overflow_pixels(page) <= 0
        page.evaluate(AXE.read_text(encoding="utf-8"))
        report: Any = page.evaluate("rules => axe.run(document.querySelector('#map'), { runOnly: rules })", RULES)
        assert [(problem["id"], node["html"][:160]) for problem in report["violations"] for node in problem["nodes"]] == []
        assert_clean(visitor)


def test_a_region_without_a_map_says_so_and_nothing_is_loaded_before_it_is_asked_for(desktop: Visit) -> None:
    asked: list[str] = []
    desktop.page.on("request", lambda request: asked.append(request.url))
    page = desktop.open("/#california")
    expect_live(page)
    assert not [url for url in asked if "/v1/maps/" in url]
    page.locator("#cells").select_option("next week")
    expect(page.locator(".cells-shown")).to_contain_text("There is no map of California yet. Maps are issued with the outlooks.")
    expect(page.locator(".cells-shown .classes")).to_be_hidden()
    page.locator("#cells").select_option("none")
    expect(page.locator(".cells-shown")).to_be_hidden()


def test_the_keyboard_reaches_everything(desktop: Visit) -> None:
    page = desktop.open("/#california")
    expect_live(page)
    page.locator("#measure").focus()
    page.locator('[aria-label="Find a region"]').focus()
    page.keyboard.type("no such region")
    expect(page.get_by_text("No match: no region is called “no such region”.")).to_be_visible()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "option", "the list is one Tab stop"
    assert page.evaluate(IS_BEFORE_THE_ALERTS)
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


def test_the_scrubber_moves_into_the_past_and_back(desktop: Visit) -> None:
    page = desktop.open("/#california")
    expect_live(page)
    expect(page.locator(".moment")).to_contain_text("Newest")
    newest = page.locator(".panel .facts").inner_text()
    page.locator('input[type="range"]').focus()
    page.keyboard.press("Home")
    expect(page.locator(".banner.past")).to_contain_text("as it was known then")
    expect(page.locator(".moment")).to_contain_text("As of")
    expect(page.locator(".panel .facts")).not_to_have_text(newest)
    page.get_by_role("button", name="Newest").click()
    expect(page.locator(".banner.past")).to_have_count(0)


@pytest.mark.parametrize("size", [PHONE, NARROW_PHONE], ids=["390", "360"])
def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, live: Running, size: tuple[int, int]) -> None:
    with visit(browser, live.address, size) as visitor:
        page = visitor.open("/#california")
        expect_live(page)
        expect(page.locator(".lead")).to_be_visible()
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true }")
        assert overflow_pixels(page) <= 0
        assert_clean(visitor)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation(browser: Browser, live: Running, feed: ChangingFeed, dark: bool) -> None:
    """Run the automatic checks of WCAG 2.1 AA: contrast, names, roles, landmarks; with the card of a large earthquake."""
    with visit(browser, live.address, DESKTOP, dark) as visitor:
        page = visitor.open("/#california")
        expect_live(page)
        feed.show(msgspec.structs.replace(earthquake(6.3, f"ciaxe{dark}"), url="https://source.example/ciaxe", tsunami=True))
        expect(page.locator("#headline")).to_be_visible()
        page.evaluate(AXE.read_text(encoding="utf-8"))
        report: Any = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
        assert len(report["passes"]) > 10
        problems = [(problem["id"], node["html"][:160]) for problem in report["violations"] for node in problem["nodes"]]
        assert problems == []
        feed.withdraw(f"ciaxe{dark}")
        expect(page.locator("#headline")).to_be_hidden()


def test_the_page_stays_responsive_while_hundreds_of_events_arrive(browser: Browser, live: Running, feed: ChangingFeed) -> None:
    with visit(browser, live.address) as visitor:
        page = visitor.open("/#california")
        expect_live(page)
        page.evaluate(WATCH_LONG_TASKS)
        burst = [msgspec.structs.replace(earthquake(2.6, f"ciburst{n}"), longitude=-117.6 + n / 1000) for n in range(400)]
        for event in burst:
            feed.show(event)
        expect(page.locator("table.events").locator("xpath=..").locator("xpath=..")).to_contain_text(
            re.compile(r"[45]\d\d events in the last")
        )
        page.locator('li[data-region="hawaii"]').click()
        expect(page.locator("#region-title")).to_have_text("Hawaii")
        longest = page.evaluate("window.longest")
        assert longest < 1_000, f"the page stood still for {longest} ms"
        assert_clean(visitor)
        for event in burst:
            feed.withdraw(event.id)


def test_the_page_reconnects_to_a_restarted_server_and_shows_a_stale_feed(browser: Browser, feed: ChangingFeed, tmp_path: Path) -> None:
    bus = f"sqlite:///{tmp_path}/page.db"
    with running(up(bus, feed.address), tmp_path) as process:
        wait_for_forecasts(process, len(SOURCES))
        port = process.port
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            expect_live(page)
            page.evaluate("window.notReloaded = true")
            process.stop()
            expect(page.locator(".banner.cut-off")).to_contain_text("Not connected")
            with running(up(bus, NO_FEED), tmp_path, port) as again:
                wait_for_forecasts(again, len(SOURCES))
                expect(page.locator(".banner.cut-off")).to_have_count(0)
                expect(page.locator(".banner.stale")).to_contain_text("The feed is stale")
                assert page.evaluate("window.notReloaded")
            assert visitor.foreign_requests == []


def oldest_moment(page: Page) -> str:
    """Return the label of the slider at its left end."""
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.locator(".moment")).to_contain_text("As of")
    return page.locator(".moment").inner_text()


def days_between(earlier: str, later: str) -> float:
    first, second = (datetime.strptime(text, "As of %d %b %Y, %H:%M UTC") for text in (earlier, later))
    return (second - first).total_seconds() / 86_400


def test_a_replay_is_marked_and_loads_earlier_forecasts(browser: Browser, tmp_path: Path) -> None:
    catalogue, bus = tmp_path / "sequence.csv", f"sqlite:///{tmp_path}/replay.db"
    catalogue.write_bytes(csv_of(small_sequence(now().plus(days=-400.0), days=5.0)))
    subprocess.run([sys.executable, "-m", "stream.cli", "replay", str(catalogue), "--bus", bus], cwd=ROOT, check=True, capture_output=True)
    with running(["serve", "--bus", bus, "--store", bus], tmp_path) as process:
        wait_for_forecasts(process, len(SOURCES))
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            expect_live(page, "connected, replayed")
            expect(page.locator(".banner")).to_have_count(1)
            expect(page.locator(".banner.not-live")).to_contain_text("Replay, not live")
            expect(page.locator("html[data-forecast]")).to_have_count(1)  # the stream begins with the earliest
            earliest = oldest_moment(page)
            page.get_by_role("button", name="Load earlier").click()
            expect(page.get_by_role("slider")).not_to_have_value("0")  # there is something on its left now
            # Two days, and from there to the first forecast: due an hour after the last, issued with the next heartbeat (each ten minutes);
            # the label leaves out seconds.
            assert days_between(oldest_moment(page), earliest) >= 2.0 - 71 / 1_440
            assert_clean(visitor)


def test_the_page_asks_for_the_token_once_a_session(browser: Browser, feed: ChangingFeed, tmp_path: Path) -> None:
    with running(up(f"sqlite:///{tmp_path}/page.db", feed.address), tmp_path, QUAKECAST_TOKEN=TOKEN) as process:
        wait_for_forecasts(process, len(SOURCES), TOKEN)
        with visit(browser, process.address) as visitor:
            page = visitor.open("/#california")
            page.get_by_role("textbox", name="Token").fill("wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert").filter(has_text="does not accept this token")).to_be_visible()
            page.get_by_role("textbox", name="Token").fill(TOKEN)
            page.keyboard.press("Enter")
            expect_live(page)
            page.reload()
            expect_live(page)
            assert page.get_by_role("dialog").count() == 0
            assert TOKEN not in page.content() + page.url

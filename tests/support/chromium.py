"""A real Chromium over the page: Debian's own, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.support.paths import ROOT
from tests.support.servers import MissingPart

DIST = ROOT / "stream" / "serve" / "page" / "dist"
DESKTOP, PHONE, NARROW_PHONE = (1440, 900), (390, 844), (360, 740)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for several pages.

    Raises:
        MissingPart: there is no Chromium, or the page has not been built.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise MissingPart("chromium is missing: apt-get install chromium")
    if not (DIST / "index.html").is_file():
        raise MissingPart("the page is not built: make page (needs npm: apt-get install nodejs npm)")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*options, "--js-flags=--expose-gc"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One visit to the page, and all that went wrong in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        """What the console and uncaught exceptions said."""
        self.refused: list[str] = []
        """Status and address of what the server did not give."""
        self.strangers: list[str] = []
        """Addresses of other hosts that were asked."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.on("response", self._answered)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.address + path)
        return self.page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # those are in `refused`
            self.errors.append(message.text)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.refused.append(f"{response.status} {response.url}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.strangers.append(request.url)


@contextmanager
def visit(browser: Browser, address: str, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Iterator[Visit]:
    """A fresh visit with no memory of others."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale="en-GB", timezone_id="UTC"
    )
    try:
        yield Visit(context.new_page(), address)
    finally:
        context.close()

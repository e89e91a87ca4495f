"""A real Chromium, without a window, for the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright

from tests.support.paths import ROOT
from tests.support.servers import MissingPart

DIST = ROOT / "stream" / "serve" / "page" / "dist"
SOON_MILLISECONDS = 180_000
"""Time limit for what the page should show, also on a busy machine."""
DESKTOP, PHONE, NARROW_PHONE = (1440, 900), (390, 844), (360, 740)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser for several pages; `expect` waits for its conditions up to `SOON_MILLISECONDS`.

    Raises:
        MissingPart: there is no Chromium, or the page has not been built.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise MissingPart("chromium is missing: apt-get install chromium")
    if not (DIST / "index.html").is_file():
        raise MissingPart("the page is not built: make page (needs npm: apt-get install nodejs npm)")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=SOON_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*options, "--js-flags=--expose-gc"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One visit to the page, and the errors and requests to look at afterwards."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        """Errors in the console and uncaught exceptions."""
        self.failed_responses: list[str] = []
        """Status and address of each response of 400 or more."""
        self.foreign_requests: list[str] = []
        """Addresses of requests to other hosts."""
        page.on("console", self._note_console_error)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note_foreign_request)
        page.on("response", self._note_failed_response)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.address + path)
        return self.page

    def _note_console_error(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # those are in `failed_responses`
            self.errors.append(message.text)

    def _note_failed_response(self, response: Response) -> None:
        if response.status >= 400:
            self.failed_responses.append(f"{response.status} {response.url}")

    def _note_foreign_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.foreign_requests.append(request.url)


@contextmanager
def visit(browser: Browser, address: str, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Iterator[Visit]:
    """Open a tab that shares nothing with other visits."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(SOON_MILLISECONDS)
    try:
        yield Visit(context.new_page(), address)
    finally:
        context.close()

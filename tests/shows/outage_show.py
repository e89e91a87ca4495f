"""The feed stops for an hour, in real time: what `/readyz`, the metrics, the alert rules, the alerts and the page show, and when.

    python -m tests.shows.outage_show --minutes 60 -o outage.jsonl

A local server replays the recorded feed, `quakecast up` follows it, a real Prometheus evaluates `docs/operations/rules.yml`. The server is
killed for the given minutes and started again. Every change in one of these channels is a line of the output, with the time since then.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families

from ingest.instant import Instant
from tests.support.paths import RECORDED, ROOT
from tests.support.servers import free_port, wait_for_port
from tests.support.stand_ins import environment, program
from tests.support.waiting import PATIENCE_SECONDS, stop_process

START = Instant.parse("2023-02-06T12:00:00Z")
LOOK_SECONDS = 5.0
WATCHED = ("quakecast_dependency_up", "quakecast_feed_failures", "quakecast_alerts_active")
STEPS_SECONDS = (60, 300, 600, 1_800, 3_000)
"""Limits at which the age of the feed is written; each of its values would be a line otherwise."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--settle-minutes", type=float, default=6.0, help="before the feed stops, and after it is back")
    parser.add_argument("-o", "--output", type=Path, default=Path("outage.jsonl"))
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quakecast-outage-") as name, ExitStack() as stack, given.output.open("w") as lines:
        show = Show(Path(name), lines, stack, given.screenshots)
        show.run(given.settle_minutes * 60, given.minutes * 60)


class Show:
    """The running system, the latest state of each channel, and the file of lines."""

    def __init__(self, folder: Path, lines: IO[str], stack: ExitStack, screenshots: Path | None) -> None:
        self._folder, self._lines, self._stack = folder, lines, stack
        self._feed_port, self._port, self._prometheus_port = free_port(), free_port(), free_port()
        self._shown: dict[str, Any] = {}
        self._began, self._stopped_at = time.monotonic(), time.monotonic()
        self._page = Page(self.address, screenshots)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def run(self, settle_seconds: float, outage_seconds: float) -> None:
        feed = self._start_feed()
        self._start_up()
        self._start_prometheus()
        self._page.open(self._stack)
        self._watch(settle_seconds)
        self._stopped_at = time.monotonic()
        feed.kill()
        feed.wait()
        self._note("feed", "stopped")
        self._watch(outage_seconds, picture_after_seconds=min(600.0, outage_seconds / 2))
        self._start_feed()
        self._note("feed", "is back")
        self._watch(settle_seconds)
        self._page.save_picture("after")

    def _start_feed(self) -> subprocess.Popen[bytes]:
        now = START.plus(seconds=time.monotonic() - self._began)
        server = [sys.executable, str(RECORDED / "tools" / "feed_server.py"), "--start", str(now), "--port", str(self._feed_port)]
        return self._start(server, self._feed_port)

    def _start_up(self) -> None:
        log = f"sqlite:///{self._folder}/quakecast.db"
        usgs = f"http://127.0.0.1:{self._feed_port}"
        self._start([program(), "up", "--bus", log, "--usgs", usgs, "--port", str(self._port)], self._port)

    def _start_prometheus(self) -> None:
        operations = ROOT / "docs" / "operations"
        text = (operations / "prometheus-up.yml").read_text(encoding="utf-8")
        config = self._folder / "prometheus.yml"
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self._port}").replace("rules.yml", str(operations / "rules.yml"))
        config.write_text(text, encoding="utf-8")
        listen = f"127.0.0.1:{self._prometheus_port}"
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self._folder}/tsdb", f"--web.listen-address={listen}"]
        self._start(command, self._prometheus_port)

    def _start(self, command: list[str], port: int) -> subprocess.Popen[bytes]:
        output = self._stack.enter_context((self._folder / f"{Path(command[0]).name}.err").open("ab"))
        process = subprocess.Popen(command, env=environment(), stdout=output, stderr=output, cwd=self._folder)
        self._stack.callback(stop_process, process)
        wait_for_port(port, process)
        return process

    def _watch(self, seconds: float, picture_after_seconds: float | None = None) -> None:
        """Read every channel repeatedly until the time is over."""
        channels: dict[str, Callable[[], Any]] = {
            "/readyz": self._read_readyz, "/v1/status": self._read_status, "/metrics": self._read_metrics, "Prometheus": self._read_firing,
            "alerts": self._read_alerts, "page": self._page.messages,
        }  # fmt: skip
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            for channel, read in channels.items():
                self._note(channel, read())
            if picture_after_seconds is not None and passed > picture_after_seconds:
                self._page.save_picture("during")
                picture_after_seconds = None
            time.sleep(min(LOOK_SECONDS, max(0.0, seconds - passed)))

    def _note(self, channel: str, state: Any) -> None:
        if self._shown.get(channel) == (essence := _without_running_numbers(channel, state)):
            return
        self._shown[channel] = essence
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "since_stop_seconds": round(time.monotonic() - self._stopped_at, 1),
            "channel": channel,
            "said": state,
        }
        print(json.dumps(line, ensure_ascii=False), file=self._lines, flush=True)

    def _read_readyz(self) -> Any:
        status, body = _get(f"{self.address}/readyz")
        checks = json.loads(body)["checks"]
        return {"status": status, "not ok": {name: one["why"] for name, one in checks.items() if not one["ok"]}}

    def _read_status(self) -> Any:
        feed = json.loads(_get(f"{self.address}/v1/status")[1]).get("feed", {})
        return {"stale": feed.get("stale"), "trouble": feed.get("trouble")}

    def _read_metrics(self) -> Any:
        families = list(text_string_to_metric_families(_get(f"{self.address}/metrics")[1].decode()))
        samples = {f"{s.name}{s.labels or ''}": s.value for family in families for s in family.samples}
        unheard = samples["quakecast_feed_unheard_seconds"]
        watched = {name: value for name, value in samples.items() if name.startswith(WATCHED)}
        return watched | {"unheard for more than, seconds": max((step for step in STEPS_SECONDS if unheard > step), default=0)}

    def _read_firing(self) -> Any:
        body = json.loads(_get(f"http://127.0.0.1:{self._prometheus_port}/api/v1/alerts")[1])
        return sorted(f"{alert['labels']['alertname']} {alert['state']}" for alert in body["data"]["alerts"])

    def _read_alerts(self) -> Any:
        alerts = json.loads(_get(f"{self.address}/v1/alerts?kind=feed")[1]).get("alerts", [])
        return [{name: alert[name] for name in ("id", "revision", "alert_type", "active", "headline", "reason")} for alert in alerts]


class Page:
    """The operations page in a browser that stays open, if pictures are wanted."""

    def __init__(self, address: str, screenshots: Path | None) -> None:
        self._address, self._screenshots = address, screenshots
        self._tab: Any = None

    def open(self, stack: ExitStack) -> None:
        if self._screenshots is None:
            return
        self._screenshots.mkdir(parents=True, exist_ok=True)
        self._tab = stack.enter_context(_browser_tab())
        self._tab.goto(self._address)

    def messages(self) -> Any:
        """Return the texts of its banners and alerts."""
        if self._tab is None:
            return None
        texts = self._tab.locator("[role=alert], [role=status]").all_inner_texts()
        return sorted({text.strip() for text in texts if text.strip()})

    def save_picture(self, name: str) -> None:
        if self._tab is not None and self._screenshots is not None:
            self._tab.screenshot(path=str(self._screenshots / f"outage-{name}.png"), full_page=True)


@contextmanager
def _browser_tab() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _without_running_numbers(channel: str, state: Any) -> str:
    """Return the state as text without its seconds, which change with every reading; a change of this text is a line."""
    text = json.dumps(state)
    return re.sub(r"\d[\d:.,]*", "N", text) if channel in ("/v1/status", "page") else re.sub(r"\d+ s\b", "N s", text)


if __name__ == "__main__":
    main()

"""The running system under the page: `quakecast up` or `serve` as a process on a free port."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.servers import free_port
from tests.support.stand_ins import environment
from tests.support.waiting import PATIENCE_SECONDS, wait_until

NO_FEED = "http://127.0.0.1:9"


class Running:
    """A process that serves the page."""

    def __init__(self, arguments: list[str], folder: Path, port: int | None = None, **settings: str) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = (folder / f"{arguments[0]}-{self.port}.err").open("ab")
        command = [sys.executable, "-m", "stream.cli", *arguments, "--port", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log, env=environment(**settings))

    def get(self, path: str, token: str | None = None) -> Any:
        """Return the decoded body of an answer of the API, None while nothing answers."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            return json.load(urllib.request.urlopen(urllib.request.Request(self.address + path, headers=headers), timeout=PATIENCE_SECONDS))
        except (urllib.error.URLError, OSError):
            return None

    def stop(self) -> None:
        """End the process by SIGTERM."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(PATIENCE_SECONDS) == 0, f"see {self._log.name}"
        self._log.close()


@contextmanager
def running(arguments: list[str], folder: Path, port: int | None = None, **settings: str) -> Iterator[Running]:
    """Run the process until the block ends."""
    process = Running(arguments, folder, port, **settings)
    try:
        yield process
    finally:
        process.stop()


def up(bus: str, usgs: str, poll_seconds: float = 0.2, outlooks: bool = False) -> list[str]:
    """Return the arguments of `quakecast up`; without outlooks by default, because their simulations keep the machine busy."""
    return ["up", "--bus", bus, "--usgs", usgs, "--poll-seconds", str(poll_seconds), "--outlooks" if outlooks else "--no-outlooks"]


def wait_for_forecasts(process: Running, forecasts: int, token: str | None = None) -> None:
    """Wait until so many regions have a forecast."""

    def has_forecasts() -> bool:
        answer = process.get("/v1/forecasts", token)
        return answer is not None and len(answer["forecasts"]) >= forecasts

    wait_until(has_forecasts, f"{forecasts} regions' forecasts")

"""The running system under the page: `quakecast up` as a process on a port of its own, over whatever feed it is given."""

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
from tests.support.waiting import wait_until

START_SECONDS = 300.0
"""A process that imports torch, on a machine that others use."""
NO_FEED = "http://127.0.0.1:9"


class Running:
    """A process of ours that serves the page."""

    def __init__(self, arguments: list[str], folder: Path, port: int | None = None, **settings: str) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._said = (folder / f"{arguments[0]}-{self.port}.err").open("ab")
        command = [sys.executable, "-m", "stream.cli", *arguments, "--port", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._said, stderr=self._said, env=environment(**settings))

    def get(self, path: str, token: str | None = None) -> Any:
        """A body of the API; none while nothing answers."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            return json.load(urllib.request.urlopen(urllib.request.Request(self.address + path, headers=headers), timeout=10))
        except (urllib.error.URLError, OSError):
            return None

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(60) == 0, f"see {self._said.name}"
        self._said.close()


@contextmanager
def running(arguments: list[str], folder: Path, port: int | None = None, **settings: str) -> Iterator[Running]:
    """A process until the block ends."""
    process = Running(arguments, folder, port, **settings)
    try:
        yield process
    finally:
        process.stop()


def up(bus: str, usgs: str, poll_seconds: float = 0.2, outlooks: bool = False) -> list[str]:
    """The command that does everything; simulating outlooks takes most of a machine for a while, so only who wants them gets them."""
    return ["up", "--bus", bus, "--usgs", usgs, "--poll-seconds", str(poll_seconds), "--outlooks" if outlooks else "--no-outlooks"]


def wait_until_it_speaks(process: Running, forecasts: int, token: str | None = None) -> None:
    """Until so many regions have a forecast."""

    def spoken() -> bool:
        said = process.get("/v1/forecasts", token)
        return said is not None and len(said["forecasts"]) >= forecasts

    wait_until(spoken, f"{forecasts} regions' forecasts", seconds=START_SECONDS)

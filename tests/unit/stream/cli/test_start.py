"""What the commands load before they run: that is most of the time in which they start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

SLOW = {"kafka", "redis", "obspy", "torch", "numba", "uvicorn", "starlette", "httpx", "scipy"}
"""Libraries that take long to import, and that only some commands use."""
ARRAYS_AND_LOGS = {"numpy", "shapely", "structlog", "rich", "prometheus_client"}
NOT_LOADED = {
    "stream.cli": SLOW | ARRAYS_AND_LOGS,
    "stream.cli.tail": SLOW | ARRAYS_AND_LOGS,
    "stream.cli.forecast": SLOW,
    "stream.cli.serve": SLOW,
    "stream.cli.up": SLOW,
}
"""By module of a command, what it does not load before the command runs; `stream.cli` is what `quakecast --help` loads."""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize(("module", "libraries"), NOT_LOADED.items(), ids=NOT_LOADED)
def test_a_command_starts_without_the_libraries_that_others_use(module: str, libraries: set[str]) -> None:
    loaded = {name.partition(".")[0] for name in run(f"import sys, {module}; print(*sys.modules)").split()}
    assert not libraries & loaded


def test_help_has_a_line_for_every_command() -> None:
    code = "import sys; sys.argv = ['quakecast', '--help']; from stream.cli import main; main()"
    shown = run(code).partition("Commands:\n")[2].splitlines()
    files = (ROOT / "stream" / "cli").glob("*.py")
    commands = {path.stem for path in files if f"\n{path.stem.upper()}_EXAMPLES = " in path.read_text(encoding="utf-8")}
    assert {line.split()[0] for line in shown if len(line.split()) > 1} == commands | {"train"}

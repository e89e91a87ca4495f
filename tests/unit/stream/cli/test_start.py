"""What `quakecast --help` loads: every command starts with it."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT

ON_DEMAND = {"kafka", "redis", "obspy", "torch", "numba", "uvicorn", "starlette"}
"""Libraries that take long to import: only the commands that use them load them."""


def test_the_command_starts_without_the_libraries_that_few_commands_use() -> None:
    code = "import sys, stream.cli; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not ON_DEMAND & {module.partition(".")[0] for module in result.stdout.split()}

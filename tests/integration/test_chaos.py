"""Random faults in real processes break no promise; and where a promise is broken on purpose, the harness notices."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

SEED = 20230206


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the harness as its own process, as `make chaos` does."""
    command = [sys.executable, "-m", "tests.chaos", "--seed", str(SEED), *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)


def test_twelve_faults_lose_nothing_and_repeat_nothing() -> None:
    ran = chaos("--deployment", "kafka", "--faults", "12")
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-4_000:]
    assert "faults 12 in" in ran.stdout
    assert "lost 0, twice 0, different 0, activations 0, states []" in ran.stdout


@pytest.mark.parametrize("control", ["offsets-outside", "lost-revisions"])
def test_a_broken_promise_is_noticed(control: str) -> None:
    """The other controls are run by hand (`python -m tests.chaos --control NAME`): each takes a minute."""
    ran = chaos("--control", control, "--faults", "6")
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-4_000:]
    assert "the control was noticed" in ran.stdout

"""How services end: soon after SIGTERM even while they wait, and at once when a thread has failed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

SERVICE = """
import os, signal, threading, time
from stream.cli.options import stop_on_signals
stop = stop_on_signals({within})
{trouble}
time.sleep(300)
"""


def run_service(trouble: str, within: float) -> subprocess.CompletedProcess[str]:
    """Run a service that waits for an answer that never comes, after some trouble."""
    code = SERVICE.format(trouble=trouble, within=within)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_a_service_that_waits_ends_after_its_time() -> None:
    ran = run_service("os.kill(os.getpid(), signal.SIGTERM)", 0.2)
    assert ran.returncode == 0
    assert "ending without an answer from a server" in ran.stdout + ran.stderr


def test_a_service_whose_threads_get_no_turn_is_ended_by_the_system() -> None:
    ran = run_service("os.kill(os.getpid(), signal.SIGTERM); import ctypes; ctypes.PyDLL(None).sleep(300)", 0.2)
    assert ran.returncode == -signal.SIGALRM


def test_a_service_ends_when_one_of_its_threads_fails() -> None:
    ran = run_service("threading.Thread(target=lambda: 1 / 0, name='reader').start()", 100.0)
    assert ran.returncode == 1
    assert "a thread has failed" in ran.stdout + ran.stderr
    assert "ZeroDivisionError" in ran.stdout + ran.stderr


WITHOUT_SERVER = """
import sys
import stream.serve
from stream.cli import main

def fail(*_):
    raise RuntimeError("no thread can be started")

stream.serve.serve = fail
sys.argv = ["quakecast", "up", "--bus", "sqlite:///{folder}/log.db", "--usgs", "http://127.0.0.1:9", "--port", "0", "--no-outlooks"]
main()
"""


def test_up_ends_when_its_server_fails(tmp_path: Path) -> None:
    code = WITHOUT_SERVER.format(folder=tmp_path)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 1
    assert "no thread can be started" in ran.stderr

"""Programs as in their containers: a read-only file system except for one folder, no capabilities, no way to new privileges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """\
set -eu
folder=$1; shift
mount -o remount,ro,bind /
mount -t tmpfs tmpfs "$folder"
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""
"""Within a mount namespace of its own, so that nothing changes for other processes. The program keeps the process id."""


def confined(folder: Path, *command: str) -> list[str]:
    """Return a command that runs another one confined; only to `folder` can it write, which it finds empty, and nothing of it stays."""
    return ["unshare", "--mount", "sh", "-c", SCRIPT, "confined", str(folder), *command]


def refusal(folder: Path) -> str | None:
    """Return why this machine does not let us confine a program; None if it does."""
    try:
        tried = subprocess.run(confined(folder, sys.executable, "-c", ""), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return None if tried.returncode == 0 else tried.stderr.strip() or "it fails"

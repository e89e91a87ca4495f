"""Files for the surfaces that read files."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path


@cache
def folder() -> Path:
    """Return a folder that goes with the process's other temporary files."""
    return Path(tempfile.mkdtemp())


def write(name: str, body: bytes) -> Path:
    """Write a file and return its path."""
    path = folder() / name
    path.write_bytes(body)
    return path

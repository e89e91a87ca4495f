"""Fits on disk, as JSON: read one way, refused in one line that names the command that makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from ingest.problem import Problem

Fit = TypeVar("Fit")


def read_fit(file: Path, kind: type[Fit], what: str, is_consistent: Callable[[Fit], bool], command: str) -> Fit:
    """Read a fit.

    Args:
        kind: the type that it is read as.
        what: it is, in the message where it is none.
        is_consistent: whether its numbers can be a fit.
        command: makes such a file.

    Raises:
        Problem: the file does not exist, or holds no such fit.
    """
    try:
        fit = msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(f"{file} holds no {what} ({error})", f"fit them: {command}") from None
    if not is_consistent(fit):
        raise Problem(f"{file} holds no {what} (its numbers are inconsistent)", f"fit them: {command}")
    return fit

"""Functions compiled by numba, kept for the state of the sources that they were compiled from.

numba's own cache watches the file of a function alone, while constants and compiled functions of other files are part of its machine code:
a constant that is changed elsewhere would go on with its old value. So each state of `models` has a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

_Function = TypeVar("_Function", bound=Callable[..., Any])
_SOURCES = Path(__file__).parents[1]


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call, without `fastmath`: its sums have one order and one result."""
    return compiled_with()(function)


def compiled_with(**options: Any) -> Callable[[_Function], _Function]:
    """Return a decorator that compiles with options of numba, such as `parallel`."""
    decorate: Callable[[_Function], _Function] = numba.njit(cache=True, **options)
    return decorate


def sources_digest(folder: Path) -> str:
    """Return a digest of the Python files below a folder, names and contents."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def keep_compiled_in(root: Path, sources: Path) -> Path:
    """Let numba keep its machine code in one folder for the present state of the sources, and remove those of other states."""
    folder = root / f"quakecast-{sources_digest(sources)}"
    setattr(config, "CACHE_DIR", str(folder))  # noqa: B010 - numba sets its own from the environment, untyped
    if not folder.exists():
        for other in root.glob("quakecast-*"):
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _root() -> Path:
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given)
    return _SOURCES / "__pycache__" if os.access(_SOURCES, os.W_OK) else Path.home() / ".cache"


keep_compiled_in(_root(), _SOURCES)

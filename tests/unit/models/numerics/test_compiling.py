"""Machine code is kept for the state of the sources that it was compiled from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.numerics.compiling import sources_digest

CONSTANT = "LIMIT = {}\n"
FUNCTION = """from package.constant import LIMIT
from models.numerics import compiled
@compiled
def limit() -> float:
    return LIMIT
"""
PRINT = "from models.numerics.compiling import keep_compiled_in; from pathlib import Path; import sys; root = Path(sys.argv[1]); "
PRINT += (
    "keep_compiled_in(root / 'cache', root / 'package'); from package.function import limit; print(limit(), limit.stats.cache_hits.total())"
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "constant.py").write_text(CONSTANT.format(1.5))
    (folder / "function.py").write_text(FUNCTION)
    return folder


def run(package: Path) -> list[str]:
    """Return what the compiled function returns in a process of its own, and the number of its hits in the cache."""
    path = os.pathsep.join([str(package.parent), *sys.path])
    command = [sys.executable, "-c", PRINT, str(package.parent)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True).stdout.split()


def test_a_constant_of_another_file_is_compiled_anew(package: Path) -> None:
    assert run(package) == ["1.5", "0"]
    assert run(package) == ["1.5", "1"]
    (package / "constant.py").write_text(CONSTANT.format(2.0))
    assert run(package) == ["2.0", "0"]


def test_one_folder_is_kept(package: Path) -> None:
    run(package)
    (package / "constant.py").write_text(CONSTANT.format(2.0))
    run(package)
    assert [folder.name for folder in (package.parent / "cache").iterdir()] == [f"quakecast-{sources_digest(package)}"]


def test_the_digest_knows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x")
    first = sources_digest(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    second = sources_digest(tmp_path)
    (tmp_path / "b.py").write_text("y")
    assert len({first, second, sources_digest(tmp_path)}) == 3

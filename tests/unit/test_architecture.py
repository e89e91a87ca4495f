"""The structure of the code: imports between layers, one door for each library, and no modules of mixed contents."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LAYERS = ("ingest", "stream", "models")
MODULES = sorted(path.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
COMPOSITION_ROOT = "stream/cli"
DOORS = {
    "kafka": tuple(f"ingest/bus/{name}.py" for name in ("kafka", "kafka_consumer", "kafka_producer", "kafka_errors")),
    "redis": ("stream/store/redis.py",),
    "obspy": ("ingest/seismology.py",),
    "httpx": ("ingest/sources/usgs_http.py", "stream/client/connection.py"),
    "httpx_sse": ("stream/client/connection.py",),
    "stamina": ("stream/client/connection.py",),
    "torch": ("models/",),
    "safetensors": ("models/",),
    "captum": ("models/forecaster/explain.py",),
    "matplotlib": ("models/figures.py", "models/gan/pictures.py"),
    "numba": ("models/",),
    "sqlite3": ("ingest/bus/database.py",),
    "prometheus_client": ("ingest/metrics.py", "stream/monitoring/metrics.py", "stream/serve/metrics.py"),
    "starlette": ("stream/serve/",),
    "uvicorn": ("stream/serve/",),
}
PURE = (
    "stream/core",
    "stream/records",
    "stream/alerts",
    "stream/partition.py",
    "stream/outlooks/partition.py",
    "stream/outlooks/schedule.py",
)
"""Packages and files without IO, clock, chance, environment or log."""
READS_ITS_OWN_FILES = ("stream/alerts/rules.py", "stream/records/schema.py", "stream/records/compatibility.py")
"""These read tables that come with the program, when it starts or is built."""
NOT_IN_THE_CLIENT = {"uvicorn", "starlette", "prometheus_client", "shapely", "scipy", "obspy", "torch", "numba", "numpy", "pandas"}
IMPURE = {"time", "random", "os", "logging", "structlog", "socket", "pathlib", "secrets", "uuid", "subprocess", "threading", "asyncio"}


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at its top or inside a function."""
    for node in ast.walk(parse_module(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def parse_module(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def package(module: str) -> str:
    return module.partition(".")[0]


def reachable_files(path: Path) -> set[Path]:
    """Return the files of this project that a file imports, directly or through others."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        for module in imports(waiting.pop()):
            file = Path(*module.split(".")).with_suffix(".py")
            if file in MODULES and file not in found:
                found.add(file)
                waiting.append(file)
    return found


def test_the_modules_of_all_layers_are_found() -> None:
    assert {path.parts[0] for path in MODULES} == set(LAYERS)
    assert Path("stream/core/step.py") in MODULES


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_ingest_does_not_import_stream_nor_stream_models(path: Path) -> None:
    if path.as_posix().startswith(COMPOSITION_ROOT):
        return
    above = set(LAYERS[LAYERS.index(path.parts[0]) + 1 :])
    assert not above & {package(module) for module in imports(path)}


@pytest.mark.parametrize(("library", "doors"), DOORS.items(), ids=DOORS.keys())
def test_each_library_has_one_door(library: str, doors: tuple[str, ...]) -> None:
    users = {path.as_posix() for path in MODULES if library in {package(module) for module in imports(path)}}
    assert {user for user in users if not user.startswith(doors)} == set()


CORE = [path for path in MODULES if path.as_posix().startswith(PURE) and path.as_posix() not in READS_ITS_OWN_FILES]


@pytest.mark.parametrize("path", CORE, ids=str)
def test_the_core_has_no_clock_randomness_environment_or_log(path: Path) -> None:
    assert not IMPURE & {package(module) for module in imports(path)}


@pytest.mark.parametrize("path", CORE, ids=str)
def test_the_core_imports_no_library_door_even_indirectly(path: Path) -> None:
    behind = {file.as_posix() for file in reachable_files(path)}
    assert not behind & {door for doors in DOORS.values() for door in doors}


def test_the_client_loads_no_server_and_no_mathematics() -> None:
    """Users of `from stream.client import Client` may rely on this list, and on the next test."""
    code = "import sys; from stream.client import Client; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not NOT_IN_THE_CLIENT & {package(module) for module in ran.stdout.split()}


def test_the_import_of_the_client_costs_little_more_than_that_of_its_libraries() -> None:
    """The quickest of several tries counts, in processor time, beside a rival in the same run: a slow or busy machine slows both."""
    tries = [[import_seconds(what) for what in ("stream.client", "httpx, httpx_sse, msgspec, stamina")] for _ in range(5)]
    client, libraries = (min(seconds) for seconds in zip(*tries, strict=True))
    assert client < 1.8 * libraries


def import_seconds(what: str) -> float:
    code = f"import time; began = time.process_time(); import {what}; print(time.process_time() - began)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_is_named_utils_or_the_like(path: Path) -> None:
    assert not {"utils", "util", "common", "helper", "helpers", "manager", "base", "misc"} & {
        part.removesuffix(".py") for part in path.parts
    }


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.name)
def test_the_tests_use_no_mock_library(path: Path) -> None:
    assert not {"unittest", "mock", "pytest_mock"} & {package(module) for module in imports(path)}

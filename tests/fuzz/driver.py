"""Feeds a surface (a parser, an endpoint) with inputs that it does not expect, and finds those that it does not bear.

Input n of a surface depends on the seed and on n alone, so a failure can be repeated. Each surface runs in a process of its own:

    failure   noticed by
    crash     the process: `take` raised an exception
    loss      the process: the rows of the input are not those kept and those counted as left out
    slow      the process: the input took more than `MOST_SECONDS` of processor time
    growth    the process: its memory at the end, against that after the first tenth of the inputs
    hang      the parent: the process has worked on one input for `HANG_SECONDS`
    death     the parent: the process ended (a segmentation fault, no memory)
"""

from __future__ import annotations

import ctypes
import gc
import logging
import resource
import shlex
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import structlog

MEMORY = Path("/dev/shm")
MOST_SECONDS = 1.0
HANG_SECONDS = 20.0
START_SECONDS = 300.0
"""For the imports of the process, and what the first input prepares."""
MOST_GROWN_BYTES = 20 * 2**20
MOST_MEMORY_BYTES = 6 * 2**30
"""Address space of a process: PyTorch alone reserves more than a gibibyte."""
FRAMES_SHOWN = 6
MOST_DEATHS = 5
"""After so many hangs and deaths the surface is not tried further."""


class Taken(NamedTuple):
    """What became of an input."""

    rows: int = 0
    """The rows, features or events in the input, counted without the program."""
    kept: int = 0
    left_out: int = 0
    """Counted by the program as left out."""
    refused: bool = False
    """Whether the program refused the input as a whole, by the error that it documents."""


class Surface(NamedTuple):
    """A part of the program that takes input from outside."""

    name: str
    weight: float
    """Its share of all inputs is this, divided by the sum of all weights."""
    generate: Callable[[Random], bytes]
    take: Callable[[bytes], Taken]
    """Passes an input to the program; raises for whatever the program does not document."""


class Failure(NamedTuple):
    """An input that the surface does not bear, in a file."""

    kind: str
    surface: str
    number: int
    detail: str
    repeat: str
    """The command that repeats it."""


@dataclass
class Report:
    """What was measured."""

    surface: str
    inputs: int = 0
    refused: int = 0
    rows: int = 0
    kept: int = 0
    left_out: int = 0
    slowest_seconds: float = 0.0
    """Of processor time, for one input."""
    seconds: float = 0.0
    grown_bytes: int = 0
    failures: list[Failure] = field(default_factory=list)
    """One for each kind and place in the code; the first input that led to it."""


def input_of(surface: Surface, seed: int, number: int) -> bytes:
    """Return an input of a surface."""
    return surface.generate(Random(f"{seed} {surface.name} {number}"))


def search(surface: Surface, count: int, seed: int, folder: Path) -> Report:
    """Feed a surface with inputs 0 … count − 1.

    Args:
        folder: of the files with the inputs that lead to failures.
    """
    whole, first, deaths = Report(surface.name), 0, 0
    while first < count and deaths < MOST_DEATHS:
        with scratch_folder() as scratch:
            part, reached = _run_process(surface, seed, range(first, count), folder, scratch)
        _add(whole, part)
        whole.inputs += reached - first
        first = reached
        deaths += any(failure.kind in ("hang", "death") for failure in part.failures)
    return whole


@contextmanager
def scratch_folder() -> Iterator[str]:
    """Yield a folder for the temporary files of a process, in memory where that can be had; it is removed however the process ends."""
    with tempfile.TemporaryDirectory(prefix="quakecast-fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield folder


def _run_process(surface: Surface, seed: int, numbers: range, folder: Path, scratch: str) -> tuple[Report, int]:
    """Run a process over some inputs; return its report, and the number of the first input that it has not taken."""
    context = get_context("spawn")
    results, sender = context.Pipe(duplex=False)
    current = context.RawValue("q", -1)
    process = context.Process(target=_work, args=(surface, seed, numbers, folder, scratch, current, sender), daemon=True)
    process.start()
    sender.close()
    report, started, at, since = Report(surface.name), time.monotonic(), -1, time.monotonic()
    while True:
        if results.poll(0.5):
            try:
                message = results.recv()
            except EOFError:
                kind = "death"
                break
            if isinstance(message, Report):
                process.join()
                return message, numbers.stop
            report.failures.append(message)
        if current.value != at:
            at, since = current.value, time.monotonic()
        elif time.monotonic() - since > (START_SECONDS if at < 0 else HANG_SECONDS):
            kind = "hang"
            break
    process.kill()
    process.join()
    at = max(current.value, numbers.start)
    detail = f"exit code {process.exitcode}" if kind == "death" else f"no end after {time.monotonic() - since:.0f} s"
    report.failures.append(_keep(kind, surface, seed, at, detail, folder))
    report.seconds = time.monotonic() - started
    return report, at + 1


def _add(whole: Report, part: Report) -> None:
    for name in ("refused", "rows", "kept", "left_out", "seconds"):
        setattr(whole, name, getattr(whole, name) + getattr(part, name))
    whole.slowest_seconds = max(whole.slowest_seconds, part.slowest_seconds)
    whole.grown_bytes = max(whole.grown_bytes, part.grown_bytes)
    whole.failures += part.failures


def _work(surface: Surface, seed: int, numbers: range, folder: Path, scratch: str, current: Any, results: Connection) -> None:
    """Take the inputs; send each failure as it occurs, and the report at the end."""
    tempfile.tempdir = scratch
    silence()
    _limit_memory()
    try_one(surface, input_of(surface, seed, numbers.start), Report(surface.name))  # prepares what the surface needs, unmeasured
    report, places = Report(surface.name), set[str]()
    began, warm, after_warming = time.monotonic(), numbers.start + max(1, len(numbers) // 10), 0
    for number in numbers:
        body = input_of(surface, seed, number)
        current.value = number
        for kind, place, detail in try_one(surface, body, report):
            if kind + place not in places:
                places.add(kind + place)
                report.failures.append(_keep(kind, surface, seed, number, detail, folder))
                results.send(report.failures[-1])
        if number + 1 == warm:
            after_warming = _resident_bytes()
    report.grown_bytes = _resident_bytes() - after_warming
    if report.grown_bytes > MOST_GROWN_BYTES:
        detail = f"memory grew by {report.grown_bytes / 2**20:.0f} MiB over {len(numbers)} inputs"
        report.failures.append(_keep("growth", surface, seed, numbers.stop - 1, detail, folder))
    report.seconds = time.monotonic() - began
    results.send(report)


def try_one(surface: Surface, body: bytes, report: Report) -> list[tuple[str, str, str]]:
    """Let a surface take an input, and add what became of it to the report.

    Returns:
        For each failure its kind, the place in the code, and what to print.
    """
    began = time.process_time()
    try:
        taken = surface.take(body)
    except Exception as error:
        inner = traceback.extract_tb(error.__traceback__)[-1]
        detail = "".join(traceback.format_exception(error, limit=-FRAMES_SHOWN))
        return [("crash", f"{type(error).__name__} {inner.filename} {inner.lineno}", detail)]
    seconds, failures = time.process_time() - began, []
    report.slowest_seconds = max(report.slowest_seconds, seconds)
    report.refused += taken.refused
    report.rows, report.kept, report.left_out = report.rows + taken.rows, report.kept + taken.kept, report.left_out + taken.left_out
    if seconds > MOST_SECONDS:
        failures.append(("slow", "", f"took {seconds:.2f} s of processor time"))
    if taken.rows != taken.kept + taken.left_out:
        failures.append(("loss", "", f"{taken.rows} rows in, {taken.kept} kept and {taken.left_out} counted as left out"))
    return failures


def _keep(kind: str, surface: Surface, seed: int, number: int, detail: str, folder: Path) -> Failure:
    """Write an input to a file. Returns the failure with the command that repeats it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{surface.name}-{kind}-{seed}-{number}"
    path.write_bytes(input_of(surface, seed, number))
    return Failure(kind, surface.name, number, detail, f"python -m tests.fuzz --only {surface.name} --input {shlex.quote(str(path))}")


def silence() -> None:
    """Turn off what the program logs about bad inputs."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _limit_memory() -> None:
    """Let an input that takes all memory end in a `MemoryError`, and not the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, resource.RLIM_INFINITY))


def _resident_bytes() -> int:
    """Return the memory that the process needs, without what its allocator only keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()

"""Inputs that nobody expects, for every parser and every endpoint: `make fuzz`.

    python -m tests.fuzz --inputs 1000000 --seed 0 --workers 2
    python -m tests.fuzz --only geojson --input FILE      repeats a failure

It ends with 1 if there was a failure. The inputs that led to failures are kept in a folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.driver import Report, Surface, scratch_folder, search, silence, try_one
from tests.fuzz.surfaces import SURFACES

COLUMNS = ("surface", "inputs", "refused", "rows", "kept", "left out", "inputs/s", "slowest ms", "grown MiB", "failures")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all surfaces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="surfaces at a time")
    parser.add_argument("--only", action="append", choices=[surface.name for surface in SURFACES], help="may be given several times")
    parser.add_argument("--input", type=Path, help="take this one input in this process")
    parser.add_argument("--folder", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args(arguments)
    chosen = [surface for surface in SURFACES if not options.only or surface.name in options.only]
    if options.input is not None:
        return _repeat(chosen[0], options.input.read_bytes())
    return _search_all(chosen, options.inputs, options.seed, options.workers, options.folder)


def _search_all(surfaces: Sequence[Surface], inputs: int, seed: int, workers: int, folder: Path) -> int:
    total = sum(surface.weight for surface in surfaces)
    print(" | ".join(COLUMNS), flush=True)

    def search_one(surface: Surface) -> Report:
        report = search(surface, max(1, round(inputs * surface.weight / total)), seed, folder)
        print(row(report), flush=True)
        return report

    with ThreadPoolExecutor(workers) as pool:
        reports = list(pool.map(search_one, surfaces))
    failures = [failure for report in reports for failure in report.failures]
    for failure in failures:
        print(f"\n{failure.kind} in {failure.surface}, input {failure.number}\n{failure.detail.rstrip()}\nrepeat: {failure.repeat}")
    print(f"\n{sum(report.inputs for report in reports):,} inputs (seed {seed}), {len(failures)} failures")
    return 1 if failures else 0


def row(report: Report) -> str:
    """Return a report as a row of the table."""
    rate = report.inputs / max(report.seconds, 1e-9)
    figures = (report.inputs, report.refused, report.rows, report.kept, report.left_out, round(rate), round(report.slowest_seconds * 1e3))
    return " | ".join(
        [report.surface, *(f"{figure:,}" for figure in figures), f"{report.grown_bytes / 2**20:.1f}", str(len(report.failures))]
    )


def _repeat(surface: Surface, body: bytes) -> int:
    silence()
    report = Report(surface.name)
    with scratch_folder() as tempfile.tempdir:
        failures = try_one(surface, body, report)
    for kind, _, detail in failures:
        print(f"{kind}\n{detail}")
    if not failures:
        print(f"no failure: {report}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""SHA-256 of what the program writes for recorded data: equal tables mean that a change of the code changed no output.

    python -m tests.measurements.unchanged -o before.json            # on one commit: half an hour on two cores
    python -m tests.measurements.unchanged --compare before.json     # on another
    python -m tests.measurements.unchanged --only explain catalog    # some cases
    python -m tests.measurements.unchanged --list

Each case runs commands in an empty folder and hashes every file that they leave there, standard output included. Reads the recorded data
beside the checkout. Floating point differs between kinds of processor: compare tables of one machine. A process in which numba compiles
can give other last bits than one that finds the compiled code: run `evaluate` once before it is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.support.paths import RECORDED, ROOT

DATA = RECORDED / "data"
CALIFORNIA = str(DATA / "catalogs" / "california_m25_2015_2025_until_2022.csv.xz")
JAPAN = str(DATA / "catalogs" / "japan_m45_1975_2021.csv.xz")
SAN_JACINTO = [
    "--catalog", str(DATA / "benchmark" / "SanJac_10.csv.xz"), "--magnitude-of-completeness", "1.0",
    "--polygon", str(DATA / "benchmark" / "SanJac_shape.npy"), "--history-start", "2008-01-01",
]  # fmt: skip
RIDGECREST = ["simulate", "--region", "california", "--at", "35.7,-117.5", "--seed", "3"]

Command = tuple[list[str], str]
"""Arguments of `quakecast`, and the file that takes standard output; none if empty."""


def replay_of(month: str, start: str, end: str) -> list[Command]:
    """Return a replay of a span of the recorded feed with all its outputs, and an explanation from its windows."""
    file = str(DATA / "feed" / "changelog" / f"changes_{month}.csv.xz")
    outputs = ["-o", "forecasts.jsonl", "--alerts-output", "alerts.jsonl", "--outlooks", "outlooks.jsonl", "--store", "sqlite:///store.db"]
    explain = ["explain", "--store", "sqlite:///store.db", "--region", "california", "--json"]
    return [(["replay", file, "--from", start, "--to", end, *outputs], ""), (explain, "explain.json")]


def simulation_with(source: str) -> list[Command]:
    """Return a simulation of the week after a hypothetical M 7.0, with the real sequence of July 2019 before it."""
    past = ["--catalog", CALIFORNIA, "--time", "2019-07-05", "--mainshock", "7.0", "--days", "7", "--n", "200"]
    return [([*RIDGECREST, *past, "--with", source, "-o", "out"], "table.txt")]


CASES: dict[str, list[Command]] = {
    "turkiye-week": replay_of("2023-02", "2023-02-03", "2023-02-10"),
    "chignik": replay_of("2023-04", "2023-04-28", "2023-04-30T12:00:00Z"),
    "quiet-week": replay_of("2022-11", "2022-11-07", "2022-11-14"),
    "explain": [
        (["explain", "--region", "california", "--catalog", CALIFORNIA, "--at", "2019-07-07", "--json"], "explain.json"),
        (["explain", "--region", "japan", "--catalog", JAPAN, "--at", "2011-03-12"], "explain.txt"),
    ],
    **{f"simulate-{source}": simulation_with(source) for source in ("gan", "forecaster", "cnn", "etas")},
    "simulate-without-a-catalogue": [
        ([*RIDGECREST, "--mainshock", "7.0", "--days", "30", "--n", "200", "--with", source, "-o", source], f"{source}.txt")
        for source in ("etas", "gan", "forecaster")
    ],
    "evaluate": [
        (["evaluate", *SAN_JACINTO, "--start", "2014-01-01", "--end", "2016-01-01", "--model", model, "--json"], f"{model}.json")
        for model in ("pretrained", "etas", "poisson", "weibull", "median")
    ],
    "catalog": [(["catalog", CALIFORNIA, "--json"], "catalog.json"), (["catalog", JAPAN], "catalog.txt")],
    "models": [(["models"], "models.txt")],
    "train": [
        (["train", "lstm", *SAN_JACINTO, "--start", "2012-01-01", "--validation-start", "2014-01-01", "--end", "2014-07-01",
          "--members", "2", "--reach", "128", "--seed", "1", "-o", "lstm"], ""),
        (["train", "cnn", *SAN_JACINTO, "--start", "2013-06-01", "--validation-start", "2014-01-01", "--end", "2014-03-01",
          "--seed", "1", "--model", "lstm", "-o", "cnn"], ""),
    ],
}  # fmt: skip
UNHASHED = ("errors.log", "store.db", "card.json", "CARD.md", "manifest.json")
"""Files that hold clock times (a model's card says how long its training took, and its manifest hashes the card), or pages of a database
in no certain order."""

Table = dict[str, dict[str, str]]
"""By case and file, the SHA-256."""


def hashes_of(name: str, folder: Path) -> dict[str, str]:
    """Run a case in a folder.

    Raises:
        subprocess.CalledProcessError: a command failed; its messages are on standard error.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "QUAKECAST_MODELS": str(folder / "models")}
    for arguments, output in CASES[name]:
        with (folder / "errors.log").open("ab") as errors, (folder / (output or os.devnull)).open("wb") as standard_output:
            command = [sys.executable, "-m", "stream.cli", *arguments]
            ran = subprocess.run(command, cwd=folder, env=environment, stdout=standard_output, stderr=errors, check=False)
        if ran.returncode:
            sys.stderr.write((folder / "errors.log").read_text(encoding="utf-8"))
            ran.check_returncode()
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(UNHASHED))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def differences(before: Table, after: Table) -> list[str]:
    """Return `case/file` of each file that differs or is in one table only, among the cases of the second."""
    return [
        f"{name}/{file}"
        for name, files in after.items()
        for file in sorted(before.get(name, {}).keys() | files.keys())
        if before.get(name, {}).get(file) != files.get(file)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("-o", "--output", type=Path, help="write the table here, as JSON")
    parser.add_argument("--compare", type=Path, help="a table written before; exits with 1 if anything differs")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    given = parser.parse_args()
    if given.list:
        sys.stdout.writelines(f"{name}\n" for name in CASES)
        return
    table: Table = {}
    for name in given.only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="quakecast-unchanged-") as folder:
            table[name] = hashes_of(name, Path(folder))
        sys.stdout.write(f"{name}: {len(table[name])} files, {time.monotonic() - began:.0f} s\n")
        sys.stdout.flush()
    if given.output:
        given.output.write_bytes(msgspec.json.format(msgspec.json.encode(table)))
    if given.compare:
        found = differences(msgspec.json.decode(given.compare.read_bytes(), type=Table), table)
        sys.stdout.write("".join(f"DIFFERENT {line}\n" for line in found) or "all equal\n")
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

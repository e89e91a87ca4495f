"""States that earlier releases have left: made by running their code, opened by the present one, which builds them again from the log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.bus import FORECASTS, open_log
from ingest.instant import Instant
from stream.records.forecast import decode_forecast
from tests.support.paths import ROOT
from tests.support.servers import new_database
from tests.support.stand_ins import csv_of, environment, small_sequence

EARLIER = {
    "0.1.0": "8ed10bf0e09c08d5dfbb98f1e92a549bbef971df",
    "before checksums": "f9ca9e1f127d7f057ec0575a9d414a364b1deb6e",
}
"""By release, its commit."""
START = Instant.parse("2023-01-01T00:00:00Z")


def code_of(release: str, folder: Path) -> Path:
    """Return a folder with the code of a release; skip where its commit is not there, as in a shallow clone."""
    archived = subprocess.run(
        ["git", "archive", EARLIER[release], "ingest", "stream", "models"], cwd=ROOT, capture_output=True, check=False
    )
    if archived.returncode != 0:
        pytest.skip(f"the code of {release} ({EARLIER[release]}) is not in this clone: git fetch --unshallow")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archived.stdout, check=True)
    return folder


def replay(code: Path, *words: str) -> str:
    """Run `quakecast replay` of a release, and return what it logged."""
    start = "from stream.cli import main; main()"  # from the folder of the code: it comes before what is installed
    ran = subprocess.run(
        [sys.executable, "-c", start, "replay", *words], cwd=code, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def lines(file: Path) -> dict[tuple[str, int], str]:
    """Return the forecasts in a file by region and input sequence."""
    return {
        (record["region"], record["input_sequence"]): line for line in file.read_text("utf-8").splitlines() for record in [json.loads(line)]
    }


@pytest.mark.parametrize(("release", "store_kind"), [("0.1.0", "sqlite"), ("before checksums", "redis")])
def test_a_state_of_an_earlier_release_is_built_again_from_its_log(release: str, store_kind: str, tmp_path: Path, request: Any) -> None:
    code = code_of(release, tmp_path / "code")
    bus = f"sqlite:///{tmp_path}/log.db"
    store = bus if store_kind == "sqlite" else new_database(request.getfixturevalue("redis"))
    before, after, again = (tmp_path / f"{name}.jsonl" for name in ("before", "after", "again"))
    for name, start, seed in (("past", START, 3), ("later", START.plus(days=1.1), 5)):
        (tmp_path / f"{name}.csv").write_bytes(csv_of(small_sequence(start, seed=seed)))
    replay(code, str(tmp_path / "past.csv"), "--bus", bus, "--store", store, "-o", str(before))
    said = replay(ROOT, str(tmp_path / "later.csv"), "--bus", bus, "--store", store, "-o", str(after))
    assert said.count("rebuilding the state from the log") == 6, said
    replay(ROOT, str(tmp_path / "log.db"), "-o", str(again))
    continued, fresh = lines(after), lines(again)
    assert continued
    assert not set(continued) & set(lines(before)), "a record has two forecasts"
    assert continued.items() <= fresh.items()
    log = open_log(bus)
    written = [decode_forecast(record.value) for p, end in log.ends(FORECASTS).items() for record in log.read(FORECASTS, p, 0, end)]
    log.close()
    assert len(written) == len(lines(before)) + len(continued)

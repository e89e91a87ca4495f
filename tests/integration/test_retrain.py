"""`quakecast retrain` as a process: it reads the event service, ends on a signal, and leaves nothing half-written on a full disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from ingest.bus import open_log
from ingest.problem import Problem
from ingest.simulated import Sequence
from models import PRETRAINED
from models.registry.manifest import CARD, write_model_folder
from models.registry.registry import Registry
from models.training.checkpoints import Checkpoints
from stream.promotion import read_promotions
from tests.support.stand_ins import environment, now, program, usgs

DAYS = 125.0
SPANS = ("--recent-days", "65", "--validation-days", "20", "--min-magnitude", "2.5")
WAIT_SECONDS = 600.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="quakecast-retrain-") as name:
        log = open_log(f"sqlite:///{name}/log.db")
        log.create_topics()
        log.close()
        yield Path(name)


def start_retrain(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [program(), "retrain", "--bus", f"sqlite:///{folder}/log.db", "--models", str(folder / "models"), *SPANS, *arguments]
    return subprocess.Popen(
        command, env=environment(OMP_NUM_THREADS="1"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_signal_ends_a_training_and_no_file_is_left(folder: Path) -> None:
    start = now().plus(days=-DAYS)
    events = [event for event in Sequence(start, DAYS, 1, mainshock=5.0).events if event.network in ("ak", "pr")]
    with usgs(events) as address, start_retrain(folder, "--usgs", address, "--from", str(start)[:10], "--every-days", "7") as process:
        assert process.stderr is not None
        assert '"back-filled"' in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0
        assert "Traceback" not in process.stderr.read()
    assert not list((folder / "models").glob("*")) + list((folder / "models").glob(".*"))
    assert list(read_promotions(open_log(f"sqlite:///{folder}/log.db"))) == []


@pytest.mark.parametrize(("days", "message"), [(0.0, "is empty"), (2.0, "need more than 85")])
def test_a_catalogue_that_is_empty_or_too_short_is_reported_in_one_line(folder: Path, days: float, message: str) -> None:
    start = now().plus(days=-10.0)
    events = Sequence(start, days, 1, mainshock=5.0, mainshock_after_days=1.0).events if days else []
    with usgs(events) as address, start_retrain(folder, "--usgs", address, "--from", str(start)[:10]) as process:
        _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("quakecast: ")
    assert message in errors
    assert "Traceback" not in errors
    assert not (folder / "models").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system with room for half a model."""
    place = tmp_path / "disk"
    place.mkdir()
    size = sum(path.stat().st_size for path in (PRETRAINED / "lstm").iterdir()) // 2
    mounted = shutil.which("mount") and os.geteuid() == 0
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("only root can make a small disk here; the unit tests limit the size of files instead")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_at_the_end_of_a_stage_is_reported_in_one_line_and_the_stage_is_trained_again(small_disk: Path) -> None:
    stages, large = Checkpoints(small_disk / "training", "this"), nn.Linear(1_000, 1_000)
    with pytest.raises(Problem, match="cannot write the checkpoint folder") as caught:
        stages.run("kernels", [large], lambda: {"kernels": 1.0})
    assert "\n" not in str(caught.value)
    assert stages.run("kernels", [nn.Linear(2, 2)], lambda: {"kernels": 2.0}) == {"kernels": 2.0}, "trained again"


def test_a_full_disk_in_the_middle_of_a_model_leaves_the_registry_unchanged(small_disk: Path) -> None:
    registry = Registry(small_disk / "models")
    with pytest.raises(Problem, match="No space left on device") as caught:
        registry.add(PRETRAINED / "lstm")
    assert "\n" not in str(caught.value)
    assert list(registry.folder.iterdir()) == []
    small = write_model_folder(small_disk / "made", "lstm", "lstm-small", {CARD: b"{}"})
    assert registry.add(small_disk / "made").name == small.name, "there is room again"

"""The driver notices each kind of fault, keeps the input, and goes on; and a short run over every surface finds none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import driver
from tests.fuzz.__main__ import main
from tests.fuzz.driver import Report, Surface, input_of, search, try_one
from tests.fuzz.surfaces import SURFACES
from tests.unit.fuzz import faulty

INPUTS_A_WEIGHT = 50
"""Some 5,000 inputs in all."""


@pytest.mark.parametrize("surface", [faulty.CRASH, faulty.LOSS, faulty.SLOW], ids=lambda surface: surface.name)
def test_a_fault_is_noticed_once_and_its_input_is_kept(surface: Surface, tmp_path: Path) -> None:
    report = search(surface, 12, 0, tmp_path)
    (failure,) = report.failures
    first = next(number for number in range(12) if input_of(surface, 0, number)[0] < faulty.FAULTY_NUMBER)
    assert (failure.kind, failure.number, report.inputs) == (surface.name, first, 12)
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes() == input_of(surface, 0, first)
    assert failure.repeat == f"python -m tests.fuzz --only {surface.name} --input {kept}"


def test_a_process_that_dies_is_started_again_after_the_input(tmp_path: Path) -> None:
    report = search(faulty.DEATH, 12, 3, tmp_path)
    faults = [number for number in range(12) if input_of(faulty.DEATH, 3, number)[0] < faulty.FAULTY_NUMBER]
    assert 0 < len(faults) < driver.MOST_DEATHS
    assert [(failure.kind, failure.number, failure.detail) for failure in report.failures] == [("death", n, "exit code 11") for n in faults]
    assert report.inputs == 12


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "HANG_SECONDS", 2.0)
    report = search(faulty.HANG, 8, 3, tmp_path)
    faults = [number for number in range(8) if input_of(faulty.HANG, 3, number)[0] < faulty.FAULTY_NUMBER]
    assert faults
    assert [(failure.kind, failure.number) for failure in report.failures] == [("hang", number) for number in faults]


def test_memory_that_grows_is_noticed(tmp_path: Path) -> None:
    report = search(faulty.GROWTH, 40, 0, tmp_path)
    assert [failure.kind for failure in report.failures] == ["growth"]
    assert report.grown_bytes > 30 * 2**20


def test_an_input_that_takes_all_memory_is_a_crash_and_not_the_machine_s_end(tmp_path: Path) -> None:
    (failure,) = search(faulty.MEMORY, 3, 0, tmp_path).failures
    assert failure.kind == "crash"
    assert "MemoryError" in failure.detail


@pytest.fixture(scope="module", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the surfaces of this process have their files in one folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))
        yield


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_a_short_run_finds_no_failure(surface: Surface) -> None:
    report, inputs = Report(surface.name), round(INPUTS_A_WEIGHT * surface.weight)
    try_one(surface, input_of(surface, 1, 0), Report(surface.name))  # prepares what the surface needs
    for number in range(inputs):
        assert try_one(surface, input_of(surface, 1, number), report) == [], f"input {number}"
    assert 0 < report.refused + report.left_out < max(inputs, report.rows)


def test_the_command_fails_when_there_is_a_failure_and_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.fuzz.__main__.SURFACES", (faulty.CRASH,))
    assert main(["--inputs", "30", "--folder", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "crash | 30 | 0 | 0 | 0 | 0" in shown
    assert "crash in crash" in shown
    repeat = shown.partition("repeat: python -m tests.fuzz ")[2].splitlines()[0].split()
    assert main(repeat) == 1
    assert "KeyError" in capsys.readouterr().out

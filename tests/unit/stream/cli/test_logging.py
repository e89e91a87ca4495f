"""The command logs in text or JSON, as `QUAKECAST_LOG` says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ingest.problem import Problem
from stream.cli.options import start_logging


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restore the level of Kafka's logger after each test."""
    level = logging.getLogger("kafka").level
    yield
    logging.getLogger("kafka").setLevel(level)


def logged_line(capsys: pytest.CaptureFixture[str]) -> str:
    start_logging()
    structlog.get_logger().info("committed", forecasts=3)
    return capsys.readouterr().err


@pytest.mark.parametrize("form", [None, "json"])
def test_a_file_gets_one_json_object_per_line(
    form: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUAKECAST_LOG", raising=False)
    if form is not None:
        monkeypatch.setenv("QUAKECAST_LOG", form)
    line = json.loads(logged_line(capsys))
    assert (line["event"], line["forecasts"], line["level"]) == ("committed", 3, "info")
    assert line["timestamp"].endswith("Z")


def test_text_in_a_file_has_no_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_LOG", "text")
    line = logged_line(capsys)
    assert "committed" in line
    assert "forecasts=3" in line
    assert "\x1b" not in line


def test_another_form_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_LOG", "xml")
    with pytest.raises(Problem, match="QUAKECAST_LOG is 'xml'; set it to json or text"):
        start_logging()

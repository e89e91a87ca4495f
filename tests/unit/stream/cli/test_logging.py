"""How the command logs: text or JSON, as the environment says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ingest.problem import Problem
from stream.cli.options import start_logging


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's own: other tests find it as it was."""
    level = logging.getLogger("kafka").level
    yield
    structlog.reset_defaults()
    logging.getLogger("kafka").setLevel(level)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    start_logging()
    structlog.get_logger().info("committed", forecasts=3)
    return capsys.readouterr().err


@pytest.mark.parametrize("given", [None, "json"])
def test_what_is_no_terminal_gets_one_json_object_a_line(
    given: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUAKECAST_LOG", raising=False)
    if given is not None:
        monkeypatch.setenv("QUAKECAST_LOG", given)
    line = json.loads(said(capsys))
    assert (line["event"], line["forecasts"], line["level"]) == ("committed", 3, "info")
    assert line["timestamp"].endswith("Z")


def test_text_can_be_asked_for_and_has_no_colours_in_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_LOG", "text")
    line = said(capsys)
    assert "committed" in line
    assert "forecasts=3" in line
    assert "\x1b" not in line


def test_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_LOG", "xml")
    with pytest.raises(Problem, match="QUAKECAST_LOG is 'xml'; set it to json or text"):
        start_logging()

"""Every command that a message, a docstring, the page or a document names exists, with its subcommands and options."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import commands_in, commands_of_message, mistake_in, spans_of_document, texts_of_code
from tests.support.paths import ROOT

CODE = sorted(path.relative_to(ROOT) for layer in ("ingest", "stream", "models", "tests") for path in (ROOT / layer).rglob("*.py"))
CODE = [path for path in CODE if "node_modules" not in path.parts and path != Path("tests/unit/test_named_commands.py")]
DOCUMENTS = sorted(
    path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md"))
)
PAGE = sorted(path.relative_to(ROOT) for path in (ROOT / "stream/serve/page/src").glob("*.ts"))
OTHERS = [
    Path(name) for name in ("Makefile", "Dockerfile", "docker-compose.yml", "docs/operations/rules.yml", "docs/operations/prometheus.yml")
]


def mistakes_in(path: Path, texts: list[str]) -> list[str]:
    """Return what the texts name that does not exist."""
    return [f"{path}: {why}" for text in texts for command in commands_of_message(text) if (why := mistake_in(command)) is not None]


@pytest.mark.parametrize("folder", ["ingest", "stream", "models", "tests"])
def test_every_command_in_a_text_of_the_code_exists(folder: str) -> None:
    files = [path for path in CODE if path.parts[0] == folder]
    assert [line for path in files for line in mistakes_in(path, list(texts_of_code(ROOT / path)))] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_command_in_a_document_exists(path: Path) -> None:
    spans = spans_of_document((ROOT / path).read_text(encoding="utf-8"))
    assert [f"{span}: {why}" for span in spans for command in commands_in(span) if (why := mistake_in(command)) is not None] == []


@pytest.mark.parametrize("path", PAGE + OTHERS, ids=str)
def test_every_command_on_the_page_and_in_the_configuration_exists(path: Path) -> None:
    assert mistakes_in(path, (ROOT / path).read_text(encoding="utf-8").splitlines()) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("run `quakecast check` first", "no command quakecast check"),
        ("start quakecast ingets for this log", "no command quakecast ingets"),
        ("train again: `quakecast train lstm --epochs 3`", "quakecast train lstm has no --epochs"),
        ("`quakecast train rnn FILE`", "no command quakecast train rnn"),
        ("`python -m stream.record`", "no module stream.record that can be run"),
        ("`python -m stream.worker`", "stream.worker does nothing when it is run"),
        ("`make pages` builds it", "no target pages"),
    ],
)
def test_a_command_that_does_not_exist_is_reported(text: str, why: str) -> None:
    assert [mistake_in(command) for command in commands_of_message(text)] == [why]


@pytest.mark.parametrize(
    "text",
    [
        "check the broker with `quakecast doctor`, then promote again",
        "Example: quakecast tail forecasts --region turkiye --json",
        "models by name, as quakecast models lists them",
        "`python -m stream.records --release`, then `make test`",
        "no quakecast server at this address",
    ],
)
def test_a_command_that_exists_is_not_reported(text: str) -> None:
    assert [why for command in commands_of_message(text) if (why := mistake_in(command)) is not None] == []

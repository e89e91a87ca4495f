"""The pages for readers of the feed and for scientists: their commands, tables and links are true, their Python for files runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ingest.bus.log import TOPICS
from ingest.event import encode
from stream.alerts.rules import Rule
from stream.export.cap import FIELDS_BY_KIND, MESSAGE_TYPES, SEVERITIES
from stream.records.forecast import Score
from stream.records.schema import schemas
from tests.support.paths import ROOT
from tests.support.simulated import at
from tests.unit.stream.test_selection import forecast
from tests.unit.test_readme import TREE

DOCS = ROOT / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("consumers.md", "scientists.md")}
CONSUMERS, SCIENTISTS = PAGES.values()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.replace("\\\n", "").splitlines() if line.startswith("quakecast ")]


@pytest.mark.parametrize("line", [line for page in PAGES.values() for line in commands(page)])
def test_every_example_of_the_command_is_one_that_it_takes(line: str) -> None:
    words = line.partition("#")[0].split()[1:]
    path = tuple(words[: 2 if words[0] == "train" else 1])
    TREE[path].make_context(" ".join(path), words[len(path) :], resilient_parsing=False).close()


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_every_link_into_the_project_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[name]):
        if target.startswith("http"):
            continue
        file, _, part = target.partition("#")
        path = DOCS / file if file else DOCS / name
        assert path.exists(), target
        if part:
            assert part in {anchor(heading) for heading in re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)}, target


def test_the_topics_are_those_of_the_log_and_their_records_those_with_schemas() -> None:
    rows = dict(re.findall(r"^\| `(quakecast\.\w+)` \| [^|]+ \| (.*) \|$", CONSUMERS, re.MULTILINE))
    assert set(rows) == set(TOPICS)
    named = {tag.replace("quakecast.", "").replace("/", ".") + ".json" for row in rows.values() for tag in re.findall(r"`([^`]+/\d)`", row)}
    assert named == set(schemas())


def test_every_key_of_a_rule_is_told() -> None:
    table = CONSUMERS.partition("The keys of a rule:")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(Rule.__struct_fields__)
    kinds = re.search(r"^\| `kind` \| (.*) \|$", table, re.MULTILINE)
    assert kinds is not None
    assert re.findall(r"`(\w+)`", kinds[1]) == list(FIELDS_BY_KIND)


def test_what_cap_says_is_told() -> None:
    table = CONSUMERS.partition("message:\n\n| CAP |")[2].partition("\n\n")[0]
    words = {*MESSAGE_TYPES.values(), *(name for _, name in SEVERITIES), "Minor"}
    words |= {manner.certainty for manner in FIELDS_BY_KIND.values()} - {"forecast"}
    assert {word for word in words if word not in table} == set()


def test_the_scientists_python_runs_on_a_file_of_forecasts(tmp_path: Path) -> None:
    score = Score(at(0.0), at(9.0), 12, {"model": 11.5}, {"model": 0.1}, {"poisson": 0.25}, 0, 0)
    scored = msgspec.structs.replace(forecast("turkiye"), score=score)
    (tmp_path / "again.jsonl").write_bytes(b"\n".join(map(encode, (forecast("turkiye"), scored, forecast("hawaii")))))
    (snippet,) = blocks(SCIENTISTS, "python")
    ran = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "turkiye: 12 came, 11.5 were expected; gains per event: {'poisson': 0.25}\n"


@pytest.mark.parametrize("name", PAGES)
def test_the_python_is_correct(name: str) -> None:
    assert blocks(PAGES[name], "python")
    for snippet in blocks(PAGES[name], "python"):
        compile(snippet, name, "exec")

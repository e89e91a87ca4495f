"""The README says all there is to say, and what it shows is true."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main

from ingest.bus.log import TOPICS
from ingest.event import encode
from ingest.region import RegionTable
from models.catalog.datasets import CatalogEntry
from stream.alerts.rules import load_rules
from stream.cli.application import application
from stream.records.forecast import decode_forecast
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTED = README + "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for said, text in BLOCKS if said == language]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words, groups before what is in them."""
    yield path, command
    for name, within in getattr(command, "commands", {}).items():
        yield from commands(within, (*path, name))


TREE = dict(commands(typer.main.get_command(application)))
LEAVES = sorted(path for path, command in TREE.items() if not hasattr(command, "commands"))


def test_the_first_screen_has_a_sentence_a_picture_and_the_two_commands() -> None:
    first = README.splitlines()[:20]
    pictures = [line for line in first if line.startswith("![")]
    assert len(pictures) == 1
    assert (ROOT / pictures[0].rpartition("(")[2].rstrip(")")).is_file()
    assert any(line.startswith("make up ") for line in first)
    assert any(line.startswith("make test ") for line in first)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    assert any(re.search(rf"^quakecast {' '.join(path)} ", block, re.MULTILINE) for block in blocks("sh"))


def test_every_option_and_every_environment_variable_is_mentioned() -> None:
    options = {name for command in TREE.values() for parameter in command.params for name in parameter.opts if name.startswith("-")}
    variables = {str(parameter.envvar) for command in TREE.values() for parameter in command.params if getattr(parameter, "envvar", None)}
    shipped = [path for folder in ("ingest", "stream", "models") for path in (ROOT / folder).rglob("*.py")]
    in_the_code = {
        name
        for path in [*shipped, ROOT / "tests/support/servers.py"]
        for name in re.findall(r"QUAKECAST(?:_[A-Z]+)+", path.read_text("utf-8"))
    }
    assert {name for name in options if not re.search(rf"(?<![\w-]){name}(?![\w-])", DOCUMENTED)} == set()
    assert {name for name in variables | in_the_code if name not in DOCUMENTED} == set()


def test_operators_find_every_variable_in_their_handbook() -> None:
    handbook = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    variables = {str(parameter.envvar) for command in TREE.values() for parameter in command.params if getattr(parameter, "envvar", None)}
    assert {name for name in variables | {"QUAKECAST_TOKEN", "QUAKECAST_LOG", "QUAKECAST_CONTACT"} if name not in handbook} == set()


def test_every_example_of_the_command_is_one_that_it_takes() -> None:
    for line in (line for block in blocks("sh") for line in block.replace("\\\n", "").splitlines() if line.startswith("quakecast ")):
        words = line.partition("#")[0].split()[1:]
        path = tuple(words[: 2 if words[0] == "train" else 1])
        TREE[path].make_context(" ".join(path), words[len(path) :], resilient_parsing=False).close()


def test_the_example_of_a_forecast_is_one() -> None:
    (example,) = blocks("json")
    compact = json.dumps(json.loads(example), separators=(",", ":")).encode()
    assert msgspec.json.decode(encode(decode_forecast(compact))) == json.loads(example)


def test_the_python_the_curriculum_and_the_region_file_are_correct(tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    compile(snippet, "README.md", "exec")
    curriculum, regions, rules = blocks("toml")
    assert [msgspec.convert(entry, CatalogEntry).name for entry in tomllib.loads(curriculum)["catalogue"]] == ["USGS, world"]
    assert set(tomllib.loads(regions)) == {"region"}
    file = tmp_path / "regions.toml"
    file.write_text(regions, encoding="utf-8")
    assert RegionTable.load(file).region_of(37.8, -122.3).id == "bay-area"
    file.write_text(rules, encoding="utf-8")
    found = {rule.name for rule in load_rules(file)}
    assert found == {rule.name for rule in load_rules()} - {"quieter"} | {"m5-week-hawaii"}


def test_every_topic_is_in_the_table_with_its_partitions() -> None:
    for topic, partitions in TOPICS.items():
        assert re.search(rf"^\| `{re.escape(topic)}` \| [^|]+ \| {partitions}\b", README, re.MULTILINE)


def test_every_link_into_the_project_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_link_in_the_docs_leads_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", page.read_text(encoding="utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, heading


def gain(found: dict[str, float | None], digits: int) -> str:
    """As `0.67 (0.47 … 0.89)`; without its interval where the time was too short for one."""
    between = "" if found["low"] is None else f" ({found['low']:.{digits}f} … {found['high']:.{digits}f})"
    return f"{found['mean']:.{digits}f}{between}".replace("-", "−")


def test_the_scores_are_those_of_the_built_in_model_s_card() -> None:
    """Those of the held-back time (without one, of the validation span), and of each span beside the others."""
    card = json.loads((ROOT / "models/pretrained/lstm/card.json").read_text(encoding="utf-8"))
    scores = card["scores"].get("held back", card["scores"]["validation"])
    poisson = scores["baselines"]["poisson"]
    said = [
        f"{scores['events']:,} events",
        f"**{gain(scores['gain_over_poisson'], 2)}".replace(" (", "** (", 1),
        f"**{gain(scores['gain_over_gutenberg_richter'], 3)}".replace(" (", "** (", 1),
        f"| {scores['time_median_ae_minutes']:,.0f} min | {poisson['time_median_ae_minutes']:,.0f} min |",
        f"| {scores['time_mae_minutes']:,.0f} min | {poisson['time_mae_minutes']:,.0f} min |",
        f"| {scores['magnitude_mae']:.3f} | {poisson['magnitude_mae']:.3f} |",
        *(f"| {scores[name]:.1%} | {poisson[name]:.1%} |".replace("%", " %") for name in ("coverage_50", "coverage_90")),
    ]
    for name, one in card["scores"].items():
        gains = f"{gain(one['gain_over_poisson'], 2)} | {gain(one['gain_over_gutenberg_richter'], 3)}"
        said.append(f"| {name} | {one['events']:,} | {gains} |")
    missing = [text for text in said if text not in README]
    assert not missing, "README.md should say:\n" + "\n".join(missing)

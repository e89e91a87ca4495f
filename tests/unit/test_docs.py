"""The documents agree with the code: links, commands, options, variables, tables and figures; the Python for files runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from ingest.bus.log import TOPICS
from ingest.event import encode
from ingest.region import RegionTable
from models.catalog.datasets import CatalogEntry
from stream.alerts.rules import Rule, load_rules
from stream.export.cap import FIELDS_BY_KIND, MESSAGE_TYPES, SEVERITIES
from stream.records.forecast import Forecast, Score, decode_forecast
from stream.records.schema import schemas
from tests.support.commands import GROUPS, TREE
from tests.support.documents import DOCUMENTS, anchors, blocks, links, shell_lines
from tests.support.paths import ROOT
from tests.support.simulated import at
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.stream.test_selection import forecast

TEXTS = {path.as_posix(): (ROOT / path).read_text(encoding="utf-8") for path in DOCUMENTS}
CONSUMERS, SCIENTISTS, COMMANDS, OPERATORS, RESULTS, GLOSSARY = (
    TEXTS[f"docs/{name}.md"] for name in ("consumers", "scientists", "commands", "operators", "results", "glossary")
)
CALLS = [line for text in TEXTS.values() for line in shell_lines(text) if line.startswith("quakecast ")]
LEAVES = sorted(set(TREE) - GROUPS)


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_into_the_project_has_a_target(name: str) -> None:
    for file, anchor in links(TEXTS[name]):
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), file
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{file}#{anchor}"


@pytest.mark.parametrize("line", CALLS)
def test_the_command_accepts_every_example(line: str) -> None:
    words = line.partition("#")[0].split()[1:]
    path = tuple(words[: 2 if words[0] == "train" else 1])
    TREE[path].make_context(" ".join(path), words[len(path) :], resilient_parsing=False).close()


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    assert any(re.match(rf"quakecast {' '.join(path)} ", line) for line in shell_lines(COMMANDS))


def test_every_option_is_in_the_page_of_the_commands() -> None:
    options = {name for command in TREE.values() for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = {name for name in options if name.startswith("-")} - {"-h", "--help"}
    assert {name for name in options if not re.search(rf"(?<![\w-]){name}(?![\w-])", COMMANDS)} == set()


def test_every_environment_variable_is_in_the_page_of_the_commands() -> None:
    shipped = [path for folder in ("ingest", "stream", "models") for path in (ROOT / folder).rglob("*.py")]
    in_the_code = {
        name
        for path in [*shipped, ROOT / "tests/support/servers.py"]
        for name in re.findall(r"QUAKECAST(?:_[A-Z]+)+", path.read_text("utf-8"))
    }
    assert {name for name in VARIABLES | in_the_code if name not in COMMANDS} == set()


VARIABLES = {str(parameter.envvar) for command in TREE.values() for parameter in command.params if getattr(parameter, "envvar", None)}


def test_operators_find_every_variable_in_their_handbook() -> None:
    assert {name for name in VARIABLES | {"QUAKECAST_TOKEN", "QUAKECAST_LOG", "QUAKECAST_CONTACT"} if name not in OPERATORS} == set()


def test_every_log_line_of_the_handbook_is_in_the_code() -> None:
    table = OPERATORS.partition("| event | meaning |")[2].partition("\n\n")[0]
    events = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)))
    code = "".join(path.read_text(encoding="utf-8") for folder in ("ingest", "stream") for path in (ROOT / folder).rglob("*.py"))
    assert len(events) >= 12
    assert [event for event in events if f'"{event}"' not in code] == []


def test_the_example_of_a_forecast_is_valid() -> None:
    (example,) = blocks(CONSUMERS, "json")
    compact = json.dumps(json.loads(example), separators=(",", ":")).encode()
    assert msgspec.json.decode(encode(decode_forecast(compact))) == json.loads(example)


def test_every_field_of_a_forecast_is_explained() -> None:
    table = CONSUMERS.partition("\n## Forecasts")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    fields = {*Forecast.__struct_fields__, *(f"score.{name}" for name in Score.__struct_fields__)}
    assert fields - named - {"magnitude_of_completeness", "score.since", "score.until"} == set()
    assert named - fields == set()


def test_the_examples_in_toml_can_be_loaded(tmp_path: Path) -> None:
    datasets, regions, rules = blocks(COMMANDS, "toml")
    assert [msgspec.convert(entry, CatalogEntry).name for entry in tomllib.loads(datasets)["catalogue"]] == ["USGS, world"]
    assert set(tomllib.loads(regions)) == {"region"}
    file = tmp_path / "regions.toml"
    file.write_text(regions, encoding="utf-8")
    assert RegionTable.load(file).region_of(37.8, -122.3).id == "bay-area"
    file.write_text(rules, encoding="utf-8")
    found = {rule.name for rule in load_rules(file)}
    assert found == {rule.name for rule in load_rules()} - {"quieter"} | {"m5-week-hawaii"}


def test_the_number_of_named_regions_is_right() -> None:
    named = tomllib.loads((ROOT / "ingest/regions.toml").read_text(encoding="utf-8"))["region"]
    assert len(named) == 13, "correct the number in docs/commands.md too"
    assert "Thirteen named regions" in COMMANDS


def test_the_table_of_topics_agrees_with_the_log_and_the_schemas() -> None:
    rows = {name: (partitions, rest) for name, partitions, rest in re.findall(TOPIC_ROW, CONSUMERS, re.MULTILINE)}
    assert {name: int(partitions) for name, (partitions, _) in rows.items()} == dict(TOPICS)
    tags = {tag for _, rest in rows.values() for tag in re.findall(r"`([^`]+/\d)`", rest)}
    assert {tag.replace("quakecast.", "").replace("/", ".") + ".json" for tag in tags} == set(schemas())


TOPIC_ROW = r"^\| `(quakecast\.\w+)` \| [^|]+ \| (\d+)\b[^|]* \| (.*) \|$"


def test_every_key_of_a_rule_is_explained() -> None:
    table = CONSUMERS.partition("The keys of a rule:")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(Rule.__struct_fields__)
    kinds = re.search(r"^\| `kind` \| (.*) \|$", table, re.MULTILINE)
    assert kinds is not None
    assert re.findall(r"`(\w+)`", kinds[1]) == list(FIELDS_BY_KIND)


def test_the_values_of_cap_are_explained() -> None:
    table = CONSUMERS.partition("message:\n\n| CAP |")[2].partition("\n\n")[0]
    words = {*MESSAGE_TYPES.values(), *(name for _, name in SEVERITIES), "Minor"}
    words |= {fields.certainty for fields in FIELDS_BY_KIND.values()} - {"forecast"}
    assert {word for word in words if word not in table} == set()


def test_the_scientists_python_runs_on_a_file_of_forecasts(tmp_path: Path) -> None:
    score = Score(at(0.0), at(9.0), 12, {"model": 11.5}, {"model": 0.1}, {"poisson": 0.25}, 0, 0)
    scored = msgspec.structs.replace(forecast("turkiye"), score=score)
    (tmp_path / "again.jsonl").write_bytes(b"\n".join(map(encode, (forecast("turkiye"), scored, forecast("hawaii")))))
    (snippet,) = blocks(SCIENTISTS, "python")
    ran = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    )
    assert ran.stdout == "turkiye: 12 events, 11.5 expected; gains per event: {'poisson': 0.25}\n"


@pytest.mark.parametrize("name", ["docs/consumers.md", "docs/scientists.md"])
def test_the_python_compiles(name: str) -> None:
    assert blocks(TEXTS[name], "python")
    for snippet in blocks(TEXTS[name], "python"):
        compile(snippet, name, "exec")


def format_gain(gain: dict[str, float | None], digits: int) -> str:
    """Return `0.67 (0.47 … 0.89)`; without the interval where the time was too short for one."""
    between = "" if gain["low"] is None else f" ({gain['low']:.{digits}f} … {gain['high']:.{digits}f})"
    return f"{gain['mean']:.{digits}f}{between}".replace("-", "−")


def test_the_scores_are_those_of_the_built_in_model_s_card() -> None:
    """Those of the held-back time (of the validation span, if there is none), and those of each span."""
    card = json.loads((ROOT / "models/pretrained/lstm/card.json").read_text(encoding="utf-8"))
    scores = card["scores"].get("held back", card["scores"]["validation"])
    poisson = scores["baselines"]["poisson"]
    expected = [
        f"{scores['events']:,} events",
        f"**{format_gain(scores['gain_over_poisson'], 2)}".replace(" (", "** (", 1),
        f"**{format_gain(scores['gain_over_gutenberg_richter'], 3)}".replace(" (", "** (", 1),
        f"| {scores['time_median_ae_minutes']:,.0f} min | {poisson['time_median_ae_minutes']:,.0f} min |",
        f"| {scores['time_mae_minutes']:,.0f} min | {poisson['time_mae_minutes']:,.0f} min |",
        f"| {scores['magnitude_mae']:.3f} | {poisson['magnitude_mae']:.3f} |",
        *(f"| {scores[name]:.1%} | {poisson[name]:.1%} |".replace("%", " %") for name in ("coverage_50", "coverage_90")),
    ]
    for name, one in card["scores"].items():
        gains = f"{format_gain(one['gain_over_poisson'], 2)} | {format_gain(one['gain_over_gutenberg_richter'], 3)}"
        expected.append(f"| {name} | {one['events']:,} | {gains} |")
    missing = [text for text in expected if text not in RESULTS]
    assert not missing, "docs/results.md should have:\n" + "\n".join(missing)


def test_every_result_has_its_command_and_its_date() -> None:
    sections = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", RESULTS, re.MULTILINE | re.DOTALL)
    assert len(sections) >= 10
    for heading, text in sections:
        assert re.search(r"^- Command: .*`", text, re.MULTILINE), heading
        assert re.search(r"^- Measured: \d{4}-\d{2}-\d{2}", text, re.MULTILINE), heading


def test_the_glossary_is_one_screen() -> None:
    assert len(GLOSSARY.splitlines()) <= 60

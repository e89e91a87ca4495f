"""README and CONTRIBUTING stay short, and agree with the code and the results."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.documents import blocks
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CONSUMERS = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_readme_and_contributing_are_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len(CONTRIBUTING.splitlines()) <= 60


def test_the_first_screen_has_a_picture_the_two_commands_and_the_warning() -> None:
    first = README.splitlines()[:20]
    pictures = [line for line in first if line.startswith("![")]
    assert len(pictures) == 1
    assert (ROOT / pictures[0].rpartition("(")[2].rstrip(")")).is_file()
    assert any(line.startswith("make up ") for line in first)
    assert any(line.startswith("make test ") for line in first)
    assert any("Nobody can predict earthquakes" in line for line in first)


def is_part_of(short: Any, whole: Any) -> bool:
    """Return whether a shortened JSON value has only values of the whole one; lists may be cut at the end."""
    if isinstance(short, dict):
        return isinstance(whole, dict) and all(key in whole and is_part_of(value, whole[key]) for key, value in short.items())
    if isinstance(short, list):
        return isinstance(whole, list) and all(map(is_part_of, short, whole[: len(short)]))
    return bool(short == whole)


def test_the_forecast_in_the_readme_is_part_of_the_one_for_consumers() -> None:
    (short,), (whole,) = blocks(README, "json"), blocks(CONSUMERS, "json")
    assert len(short.splitlines()) <= 10
    assert is_part_of(json.loads(short), json.loads(whole))


def test_every_figure_of_the_table_is_in_the_results() -> None:
    rows = re.findall(r"^\| [^|]+ \| (\[.*\]\(docs/results\.md#[\w-]+\)) \| ([^|]+) \|$", README, re.MULTILINE)
    assert len(rows) >= 8
    for result, _ in rows:
        for figure in re.findall(r"−?\d[\d.,]*(?: %)?", result.partition("](")[0].replace("95 % range", "")):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]*\d)", RESULTS), figure


def test_every_recipe_names_existing_files_and_their_number() -> None:
    recipes = re.findall(r"^\| (an? [^|]+) \| ([^|]+) \| (\d+)(?: \((\d+)\))? \|$", CONTRIBUTING, re.MULTILINE)
    assert len(recipes) == 11
    for task, touch, count, most in recipes:
        always, _, further = re.sub(r"\([^)]*\)", "", touch).partition("also ")
        named = [path_of(one, touch) for one in re.findall(r"`([\w./]+\.\w+)`", always)]
        assert len(named) == int(count), (task, named)
        if most:
            assert len(named) + len(re.findall(r"`([\w./]+\.\w+)`", further)) == int(most), task
        for path in named:
            assert (ROOT / path).exists() or "NAME" in path or "COMMAND" in path, path


def path_of(name: str, touch: str) -> str:
    """Return a file's path; a name alone stands in the folder that the row names before it with `in`."""
    folder = re.search(r"in `([\w/]+/)`:", touch)
    return f"{folder[1]}{name}" if folder and "/" not in name else name

"""The commands that exist (`quakecast`, `python -m`, `make`), and the commands that texts name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer.main

from stream.cli.application import application
from tests.support.paths import ROOT


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its words, groups before their members."""
    yield path, command
    for name in getattr(command, "commands", {}):
        yield from _commands(command.get_command(None, name), (*path, name))


TREE = dict(_commands(typer.main.get_command(application)))
"""Commands by their words, such as `("train", "lstm")`; `()` is `quakecast` itself."""
GROUPS = {path for path, command in TREE.items() if hasattr(command, "commands")}
HELP_OPTIONS = {"--help", "-h"}
MAKE_TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
_COMMAND = re.compile(r"((?<![\w./:-])(?:quakecast|python3? -m)|(?:^|(?<=&& )|(?<=; ))make) ([^\n`#;|()]*)")
_MODULES_OF_OTHERS = {"http.server", "venv", "pip", "pytest"}
"""Modules of others that texts may name with `python -m`."""


class NamedCommand(NamedTuple):
    """A command that a text names."""

    program: str
    """`quakecast`, `python -m` or `make`."""
    words: tuple[str, ...]
    """What follows, up to the end of the span or line."""


def commands_in(text: str) -> list[NamedCommand]:
    """Return the commands in a span of code or a line for a shell."""
    return [NamedCommand(found[1].replace("python3", "python"), tuple(found[2].split())) for found in _COMMAND.finditer(text)]


def mistake_in(command: NamedCommand) -> str | None:
    """Return what does not exist in a command; None if all of it exists."""
    if not command.words:
        return None  # the program alone
    if command.program == "make":
        return None if command.words[0].startswith("-") or command.words[0] in MAKE_TARGETS else f"no target {command.words[0]}"
    return _mistake_in_module(command.words[0]) if command.program == "python -m" else _mistake_in_command(command.words)


def _mistake_in_module(name: str) -> str | None:
    if name in _MODULES_OF_OTHERS:
        return None
    place = ROOT / Path(*name.split("."))
    file = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    if not file.is_file():
        return f"no module {name} that can be run"
    guarded = file.name == "__main__.py" or '__name__ == "__main__"' in file.read_text(encoding="utf-8")
    return None if guarded else f"{name} does nothing when it is run"


def _mistake_in_command(words: tuple[str, ...]) -> str | None:
    path: tuple[str, ...] = ()
    rest = list(words)
    while path in GROUPS and rest and not rest[0].startswith("-"):
        word = rest.pop(0).rstrip(".,:")
        if word in ("COMMAND", "…"):
            return None
        if (*path, word) not in TREE:
            return f"no command {' '.join(('quakecast', *path, word))}"
        path = (*path, word)
    taken = HELP_OPTIONS | {name for parameter in TREE[path].params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = [word.partition("=")[0].rstrip(".,:]").lstrip("[") for word in rest if re.match(r"\[?--?[a-z]", word)]
    missing = [name for name in options if name not in taken]
    return f"{' '.join(('quakecast', *path))} has no {', '.join(missing)}" if missing else None


def spans_of_document(text: str) -> Iterator[str]:
    """Yield the spans of code of a Markdown document, and the lines of its shell blocks, continued lines joined."""
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        if language in ("sh", "ini"):
            yield from block.replace("\\\n", "").splitlines()
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose))


def texts_of_code(path: Path) -> Iterator[str]:
    """Yield the texts of a Python file, docstrings among them; the values in a formatted text stand as `…`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def commands_of_message(text: str) -> list[NamedCommand]:
    """Return the commands in a message: in backticks, in lines `Example: …`, and bare ones.

    A bare command is the word after `quakecast`, unless it is prose such as "a quakecast server"; its options are not read.
    """
    spans = [span for span in re.findall(r"`([^`]+)`", text) if "\n\n" not in span]
    lines = [line.partition("Example:")[2] for line in text.splitlines() if "Example:" in line]
    bare = [
        f"{found[1]} {found[2]}"
        for found in re.finditer(r"(?<![\w./`-])(quakecast|python3? -m) ([a-z][\w.-]*)", re.sub(r"`[^`]*`", "", text))
    ]
    called = [one for one in bare if not _is_prose(one)]
    return [
        command
        for span in (*spans, *lines, *called)
        for command in commands_in(span)
        if not _is_prose(f"{command.program} {' '.join(command.words)}")
    ]


_PROSE = {"server", "client", "itself", "answers", "is", "on", "process", "processes"}
"""Words that may follow the project's name in a sentence."""


def _is_prose(text: str) -> bool:
    words = text.split()
    return words[0] == "quakecast" and len(words) > 1 and words[1].rstrip(".,:") in _PROSE

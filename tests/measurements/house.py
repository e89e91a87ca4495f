"""The structure of the code in figures: rooms, floors, arrows and circles of the import graph; sizes of files and functions.

    python -m tests.measurements.house

A *room* is a package (a module where it stands alone in the layer), an *arrow* one room importing another, inside functions too; a
*floor* is 1 above the highest room that a room imports; a *circle* is a set of rooms that import each other. A function's size is its
lines of code without docstring, comments and blank lines.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grimp

from tests.support.paths import ROOT

LAYERS = ("ingest", "stream", "models")


class Plan(NamedTuple):
    """The import graph of one level of rooms."""

    rooms: set[str]
    arrows: set[tuple[str, str]]
    """(importer, imported)."""

    def floors(self) -> dict[str, int]:
        """Return the floor of each room, 1 for rooms that import no other; rooms in a circle have none."""
        floors: dict[str, int] = {}
        while True:
            free = {
                room: 1 + max((floors[other] for importer, other in self.arrows if importer == room), default=0)
                for room in self.rooms - floors.keys()
                if all(other in floors for importer, other in self.arrows if importer == room)
            }
            if not free:
                return floors
            floors |= free


def plan_of(graph: grimp.ImportGraph, package: str) -> Plan:
    """Return the rooms of a package, its direct children, and their imports of each other."""
    rooms = graph.find_children(package)

    def room_of(module: str) -> str | None:
        return next((room for room in rooms if module == room or module.startswith(f"{room}.")), None)

    arrows = set()
    for importer in graph.find_descendants(package):
        for imported in graph.find_modules_directly_imported_by(importer):
            one, other = room_of(importer), room_of(imported)
            if one and other and one != other:
                arrows.add((one, other))
    return Plan(rooms, arrows)


def packages(graph: grimp.ImportGraph) -> list[str]:
    """Return all packages, the outer ones first."""
    return sorted(module for module in graph.modules if graph.find_children(module))


def function_sizes(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of code of each function of a file, and its name."""
    source = path.read_text(encoding="utf-8")
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = code & set(range(body[0].lineno, (node.end_lineno or 0) + 1)) if body else set()
            yield len(lines), f"{path.relative_to(ROOT)}:{node.name}"


def main() -> None:
    graph = grimp.build_graph(*LAYERS, cache_dir=None)
    sys.stdout.write(f"{'package':32}{'files':>7}{'rooms':>7}{'floors':>8}{'arrows':>8}{'in circles':>12}\n")
    for package in packages(graph):
        plan, modules = plan_of(graph, package), len(graph.find_descendants(package))
        floors = plan.floors()
        circles = len(plan.rooms - floors.keys())
        sys.stdout.write(
            f"{package:32}{modules:>7}{len(plan.rooms):>7}{max(floors.values(), default=0):>8}{len(plan.arrows):>8}{circles:>12}\n"
        )
    files = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py") if "node_modules" not in path.parts)
    lines = sorted((path.read_text(encoding="utf-8").count("\n"), str(path.relative_to(ROOT))) for path in files)
    sizes = sorted(size for path in files for size in function_sizes(path))
    counts = [size for size, _ in sizes]
    sys.stdout.write(f"\n{len(files)} files, {sum(count for count, _ in lines)} lines; the longest: {lines[-1][1]} ({lines[-1][0]})\n")
    sys.stdout.write(
        f"{len(counts)} functions, lines of code: median {statistics.median(counts):.0f}, 95 % {counts[int(0.95 * len(counts))]}, "
        f"longest {counts[-1]} ({sizes[-1][1]})\n"
    )


if __name__ == "__main__":
    main()

"""Figures beside their rivals: medians over alternating runs, their ratio, and what is aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec


class Figure(NamedTuple):
    """One row of the table."""

    what: str
    rival: str
    unit: str
    measured: float
    """Median over the runs."""
    beside: float | None
    """The rival's; None: there is none."""
    aim: str
    runs: list[float] = []  # noqa: RUF012 - never written to
    rival_runs: list[float] = []  # noqa: RUF012 - never written to

    @property
    def ratio(self) -> float | None:
        return None if not self.beside else self.measured / self.beside


class Group(NamedTuple):
    """Figures that come from the same runs."""

    name: str
    measure: Callable[[int, int], list[Figure]]
    """From the months of input and the number of runs to the figures."""


def beside(what: str, rival: str, unit: str, runs: Sequence[float], rival_runs: Sequence[float], aim: str) -> Figure:
    """Return the medians of alternating runs as a figure."""
    own, other = list(runs), list(rival_runs)
    return Figure(what, rival, unit, statistics.median(own), statistics.median(other) if other else None, aim, own, other)


def table_of(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| figure | measured | rival | ratio | aim |", "|---|---|---|---|---|"]
    for one in figures:
        rival = "" if one.beside is None else f"{_number(one.beside)} {one.unit}: {one.rival}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        lines.append(f"| {one.what} | {_number(one.measured)} {one.unit} | {rival} | {ratio} | {one.aim} |")
    return "\n".join(lines)


def as_json(figures: Sequence[Figure], conditions: dict[str, object]) -> bytes:
    """Return the figures and what they were measured under as JSON."""
    rows = [one._asdict() | {"ratio": one.ratio} for one in figures]
    return msgspec.json.format(msgspec.json.encode(conditions | {"figures": rows})) + b"\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.3g}"

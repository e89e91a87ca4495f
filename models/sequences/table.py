"""The report of sequences as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

COLUMNS = {
    "outlooks": "outlooks",
    "log_score": "log score",
    "crps": "CRPS",
    "interval_score": "interval",
    "coverage_50": "in 50 %",
    "coverage_95": "in 95 %",
    "medians": "medians",
    "counts": "came",
}
WIDTH = 44


def table_lines(groups: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a table for each group of `summarise`: a line for each forecaster, and what the model gains over it in log score and CRPS."""
    for group in groups:
        level = "M ≥ completeness" if group["level"] == "complete" else "M ≥ mainshock − 1"
        issued = "all issue times" if group["hours"] == "all" else f"issued at {group['hours']} h"
        counted = "as finally catalogued" if group["counted"] == "final" else "as known at the end"
        yield ""
        yield f"next {group['window']}, {level}, {counted}; mainshocks: {group['kind']}; {issued}"
        yield f"  {'':{WIDTH}}" + "".join(f"{title:>11}" for title in COLUMNS.values()) + "  gain in log score, in CRPS"
        for name, row in group["forecasters"].items():
            gains = next((value for key, value in row.items() if key.startswith("gain_of_")), None)
            beside = "" if gains is None else f"  {_interval(gains['log_score'])}, {_interval(gains['crps'])}"
            yield f"  {name:{WIDTH}}" + "".join(_cell(row[key]) for key in COLUMNS) + beside


def _cell(value: float) -> str:
    return f"{value:11.3f}" if isinstance(value, float) else f"{value:11d}"


def _interval(gain: dict[str, float | None]) -> str:
    if gain["mean"] is None:
        return "–"
    return f"{gain['mean']:+.3f}" + ("" if gain["low"] is None else f" ({gain['low']:+.3f} … {gain['high']:+.3f})")

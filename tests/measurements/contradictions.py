"""Forecasts that contradict themselves: by kind, how many of all the forecasts of a replay. None is right.

    quakecast replay changes_*.csv.xz -o forecasts.jsonl
    python -m tests.measurements.contradictions forecasts.jsonl

A contradiction is what `stream.core.flaw_of` names. Printed beside them: how often the probability of an event within a day fell by more
than `FALL` when an event came, and the largest fall. Exits with 1 if a forecast contradicts itself.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from stream.core import flaw_of
from stream.records import Forecast, decode_forecast

FALL = 0.05
_NUMBERS = re.compile(r"[0-9.e+-]*[0-9][0-9.e+-]*")


def read_forecasts(file: Path) -> Iterator[Forecast]:
    """Yield the forecasts of a file, one line of JSON each, in its order."""
    with file.open("rb") as lines:
        yield from map(decode_forecast, lines)


def kind_of(flaw: str) -> str:
    """Return a flaw without its numbers."""
    return _NUMBERS.sub("…", flaw)


def falls_of(forecasts: list[Forecast]) -> list[float]:
    """Return by how much P(any event within a day) fell with each event that came, where it fell."""
    latest: dict[str, float] = {}
    falls = []
    for forecast in forecasts:
        probability = forecast.wait.probability_within["1d"]
        if forecast.cause == "added" and probability < latest.get(forecast.region, 0.0):
            falls.append(latest[forecast.region] - probability)
        latest[forecast.region] = probability
    return falls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forecasts", type=Path)
    given = parser.parse_args()
    forecasts = list(read_forecasts(given.forecasts))
    flaws = Counter(kind_of(flaw) for flaw in map(flaw_of, forecasts) if flaw is not None)
    print(f"{len(forecasts)} forecasts, {sum(flaws.values())} contradict themselves")
    for kind, count in flaws.most_common():
        print(f"  {count:6} {kind}")
    falls, added = falls_of(forecasts), sum(forecast.cause == "added" for forecast in forecasts)
    great = [fall for fall in falls if fall > FALL]
    print(f"P(any within 1d) fell by more than {FALL:g} with {len(great)} of {added} events, by {max(falls, default=0.0):.3f} at most")
    sys.exit(1 if flaws else 0)


if __name__ == "__main__":
    main()

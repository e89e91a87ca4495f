"""How many aftershocks come after large earthquakes: a forecaster beside ETAS, Reasenberg–Jones and a negative binomial.

    python -m tests.measurements.sequence_skill                                  all baselines and the built-in forecaster
    python -m tests.measurements.sequence_skill --model FOLDER --json out.json   another model
    python -m tests.measurements.sequence_skill --only lstm --every 3 --paths 100   quicker: the forecaster on every third mainshock

The mainshocks are those of years that the built-in model was not trained on: the world's catalogue of 2018 and 2020, California's from
July 2018 to 2021, and the recorded feed from July 2023 to June 2024, each with what was known at the moment. Baselines are fitted to the
world 2011–2017, California 2015 to June 2018, and the feed from April 2022 to June 2023 (ETAS to the first two).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ingest.instant import Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster
from models.catalog import Span, earthquakes, read_events
from models.sequences import (
    ISSUE_HOURS,
    Earthquakes,
    EtasCounts,
    ForecasterCounts,
    NegativeBinomialCounts,
    Outlook,
    ReasenbergJones,
    SequenceForecaster,
    as_earthquakes,
    find_moments,
    fit_by_completeness,
    fit_counts,
    read_first_seen,
    score_moments,
    summarise,
    table_lines,
)
from tests.support.paths import RECORDED

DATA = RECORDED / "data"
KINDS = ("negative-binomial", "rj-prior", "rj", "rj-catalogued", "etas", "lstm")


class Source(NamedTuple):
    """A catalogue, the span to which baselines are fitted, and the span that is scored."""

    files: list[Path]
    training: Span
    scored: Span


def sources() -> dict[str, Source]:
    """Return the catalogues by name."""
    catalogs, feed = DATA / "catalogs", DATA / "feed" / "catalog"
    world, california = (sorted(catalogs.glob(pattern)) for pattern in ("global_m45_*.csv.xz", "california_m25_*.csv.xz"))
    return {
        "world": Source(world, _span("2011-01-01", "2018-01-01"), _span("2018-01-01", "2021-01-01")),
        "california": Source(california, _span("2015-01-01", "2018-07-01"), _span("2018-07-01", "2022-01-01")),
        "feed": Source(sorted(feed.glob("*.csv.xz")), _span("2022-04-01", "2023-07-01"), _span("2023-07-01", "2024-07-01")),
    }


def _span(start: str, end: str) -> Span:
    return Span(Instant.parse(start), Instant.parse(end))


def read(source: Source, table: RegionTable) -> Earthquakes:
    """Read a catalogue; the feed's has all magnitudes, of which those that some region needs are kept."""
    events = [event for event in earthquakes(read_events(source.files)) if (event.magnitude or 0.0) >= 2.45]
    return as_earthquakes(events, table, first_seen=read_first_seen(source.files))


def forecasters_of(
    names: Sequence[str], fitted: list[tuple[Earthquakes, Span]], hours: tuple[float, ...], model: Path | None, paths: int
) -> Iterator[SequenceForecaster]:
    """Yield the forecasters of some names, fitted to the training spans where they need it."""
    if "negative-binomial" in names:
        yield fit_counts(moment for known, span in fitted for moment in find_moments(known, span, hours))
    if "rj-prior" in names:
        yield ReasenbergJones(updated=False)
    if "rj" in names:
        yield ReasenbergJones(updated=True)
    if "rj-catalogued" in names:
        yield ReasenbergJones(updated=True, as_catalogued=True)
    if "etas" in names:
        fits = [fit_by_completeness(known, span) for known, span in fitted[:2]]
        yield EtasCounts(fits[1] | fits[0], paths)
    if "lstm" in names:
        network, _ = read_forecaster(model)
        yield ForecasterCounts(network, "quakecast", paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, help="folder of a trained forecaster; by default the built-in one")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sources", nargs="+", default=["world", "california", "feed"])
    parser.add_argument("--hours", nargs="+", type=float, default=list(ISSUE_HOURS), help="issue times")
    parser.add_argument("--every", type=int, default=1, help="every n-th mainshock")
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table, hours, began = RegionTable.load(), tuple(given.hours), time.perf_counter()
    chosen = sources()
    known = {name: read(source, table) for name, source in chosen.items()}
    fitted = [(known[name], source.training) for name, source in chosen.items()]
    forecasters = list(forecasters_of(given.only, fitted, hours, given.model, given.paths))
    for line in law_lines(forecasters):
        print(line)
    moments = [one for name in given.sources for one in find_moments(known[name], chosen[name].scored, hours, given.every)]
    print(f"{len(moments)} moments, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    outlooks = score_moments(moments, forecasters, _report_progress)
    groups = summarise(outlooks, forecasters[-1].name)
    if given.json:
        given.json.write_text(json.dumps({"groups": groups, "outlooks": [_row(one) for one in outlooks]}))
    for line in table_lines(groups):
        print(line)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)


def law_lines(forecasters: Sequence[SequenceForecaster]) -> Iterator[str]:
    """Yield the three numbers of the negative binomial for events above completeness."""
    for one in forecasters:
        if isinstance(one, NegativeBinomialCounts):
            for (complete, hours, window, level), law in sorted(one.laws.items()):
                if level == "complete":
                    yield f"M ≥ {complete:g}, {hours:g} h, next {window}: k {law.k:.2f}, α {law.alpha:.2f}, shape {law.shape:.2f}"


def _report_progress(done: int, whole: int) -> None:
    if done % 50 == 0:
        print(f"{done} of {whole}", file=sys.stderr, flush=True)


def _row(outlook: Outlook) -> dict[str, Any]:
    return outlook._asdict() | {"scores": outlook.scores._asdict()}


if __name__ == "__main__":
    main()

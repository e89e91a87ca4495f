"""`quakecast evaluate --sequences`: how many aftershocks a model forecasts after each mainshock, beside how many came."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import typer

from ingest.problem import Problem
from ingest.region import RegionTable
from stream.cli.options import read_time

if TYPE_CHECKING:
    from models.sequences import Earthquakes, Moment, SequenceForecaster

BUILT_IN = "pretrained"


class SequenceSettings(NamedTuple):
    """The options of `evaluate --sequences`."""

    catalog: list[Path]
    start: str
    end: str
    history_start: str | None
    train_start: str | None
    model: str
    regions: Path | None
    paths: int
    issue_hours: list[float] | None


def evaluate_sequences(given: SequenceSettings, json: bool) -> None:
    """Print the scores of the model and of the baselines on a span's sequences.

    Raises:
        Problem: no mainshocks in the span.
    """
    from models.artifact import read_forecaster
    from models.sequences import ForecasterCounts, score_moments, summarise, table_lines

    network, card = read_forecaster(None if given.model == BUILT_IN else Path(given.model))
    moments, baselines = _moments_and_baselines(given)
    groups = summarise(score_moments(moments, [*baselines, ForecasterCounts(network, card.name, given.paths)]), card.name)
    if json:
        typer.echo(msgspec.json.encode({"model": card.name, "groups": groups}))
        return
    for line in table_lines(one for one in groups if _is_shown(one)):
        typer.echo(line)


def _moments_and_baselines(given: SequenceSettings) -> tuple[list[Moment], list[SequenceForecaster]]:
    """Return the moments of the scored span, and the baselines, fitted to the training span."""
    from models.catalog import Span
    from models.sequences import ISSUE_HOURS, EtasCounts, ReasenbergJones, find_moments, fit_by_completeness, fit_counts

    known = _read(given)
    scored = Span(read_time(given.start), read_time(given.end))
    training = Span(read_time(given.train_start) if given.train_start else known.observed[0].start, scored.start)
    if not training.start < scored.start < scored.end:
        raise typer.BadParameter("--train-start, --start and --end must follow each other in time")
    hours = tuple(sorted(given.issue_hours)) if given.issue_hours else ISSUE_HOURS
    moments = find_moments(known, scored, hours)
    if not moments:
        raise Problem("no mainshocks in the period", "choose a longer one, with a month of the catalogue before and after it")
    counts, etas = fit_counts(find_moments(known, training, hours)), EtasCounts(fit_by_completeness(known, training), given.paths)
    return moments, [counts, ReasenbergJones(updated=False), ReasenbergJones(updated=True), etas]


def _read(given: SequenceSettings) -> Earthquakes:
    """Read the catalogue, and when its events became known, if it says so."""
    from models.catalog import earthquakes, read_events
    from models.sequences import as_earthquakes, read_first_seen

    first = read_time(given.history_start) if given.history_start else None
    events = [event for event in earthquakes(read_events(given.catalog)) if first is None or event.time >= first]
    if not events:
        raise Problem("no earthquakes in the catalogue", "give a catalogue that has events of the type earthquake")
    return as_earthquakes(events, RegionTable.load(given.regions), first_seen=read_first_seen(given.catalog))


def _is_shown(group: dict[str, Any]) -> bool:
    return (group["counted"], group["level"], group["kind"]) == ("final", "complete", "all")

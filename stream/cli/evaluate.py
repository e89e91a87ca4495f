"""`quakecast evaluate`: score a model on a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from ingest.problem import Problem
from stream.cli.catalog_options import CATALOG, MAGNITUDE_OF_COMPLETENESS, HistoryStartOption, PolygonOption
from stream.cli.evaluate_sequences import SequenceSettings, evaluate_sequences
from stream.cli.options import JsonOption, RegionsOption, read_time

EVALUATE_EXAMPLES = (
    "Example: quakecast evaluate --catalog california.csv --magnitude-of-completeness 2.5 --start 2020-01-01 --end 2021-01-01 --model etas"
)

SHOWN = ("events", "time_log_likelihood", "place_log_likelihood", "magnitude_log_likelihood", "time_mae_minutes", "time_median_ae_minutes",
         "magnitude_mae", "pit_time_ks", "pit_magnitude_ks", "coverage_50", "coverage_90")  # fmt: skip
GAINS = ("gain_over_poisson", "gain_over_etas", "place_gain_over_etas", "gain_over_gutenberg_richter")
MODELS = "pretrained, the folder of a trained model, or a baseline: etas, poisson, weibull, median, textbook."


class RegionSettings(NamedTuple):
    """The options for a catalogue taken as one region."""

    catalog: list[Path]
    magnitude_of_completeness: float
    start: str
    end: str
    history_start: str | None
    train_start: str | None
    polygon: Path | None
    model: str
    parameters: Path | None


def evaluate(
    catalog: Annotated[list[Path], CATALOG],
    start: Annotated[str, typer.Option("--start", help="Start of the scored span.")],
    end: Annotated[str, typer.Option("--end", help="End of the scored span.")],
    magnitude_of_completeness: Annotated[float | None, MAGNITUDE_OF_COMPLETENESS] = None,
    history_start: HistoryStartOption = None,
    train_start: Annotated[
        str | None,
        typer.Option(
            "--train-start", help="Baselines are fitted on the events from this time to --start; by default from --history-start."
        ),
    ] = None,
    polygon: PolygonOption = None,
    model: Annotated[str, typer.Option("--model", help=MODELS)] = "pretrained",
    parameters: Annotated[
        Path | None, typer.Option("--parameters", help="JSON file of ETAS parameters, used instead of published or fitted ones.")
    ] = None,
    sequences: Annotated[
        bool, typer.Option("--sequences", help="Score the numbers of aftershocks after each mainshock instead; regions are the table's.")
    ] = False,
    issue_hours: Annotated[
        list[float] | None,
        typer.Option("--issue-hours", min=0.0, help="With --sequences: hours after the mainshock; may be given several times."),
    ] = None,
    paths: Annotated[int, typer.Option("--paths", min=10, max=10_000, help="With --sequences: simulations of each moment.")] = 200,
    regions: RegionsOption = None,
    json: JsonOption = False,
) -> None:
    """Score a model on a catalogue taken as one region: log-likelihoods, errors, calibration, gains over ETAS and Poisson."""
    if sequences:
        if magnitude_of_completeness is not None or polygon is not None or parameters is not None:
            raise typer.BadParameter("--sequences takes its regions from the region table: leave out completeness, polygon and parameters")
        settings = SequenceSettings(catalog, start, end, history_start, train_start, model, regions, paths, issue_hours)
        evaluate_sequences(settings, json)
        return
    if magnitude_of_completeness is None:
        raise typer.BadParameter("--magnitude-of-completeness is needed, except with --sequences")
    given = RegionSettings(catalog, magnitude_of_completeness, start, end, history_start, train_start, polygon, model, parameters)
    scores = _score_region(given)
    if json:
        typer.echo(msgspec.json.encode(scores))
    else:
        _print_scores(scores)


def _score_region(given: RegionSettings) -> dict[str, Any]:
    """Return the scores on the catalogue taken as one region.

    Raises:
        Problem: no earthquakes in the catalogue.
    """
    from models.catalog import Span, make_point_pattern, newest_versions, read_events, read_polygon
    from models.forecaster import FittingData, model_and_baselines
    from models.scoring import score_report, score_trial

    events, region = newest_versions(read_events(given.catalog)), None if given.polygon is None else read_polygon(given.polygon)
    if not events:
        raise Problem("no earthquakes in the catalogue", "give a catalogue that has events of the type earthquake")
    scored = Span(read_time(given.start), read_time(given.end))
    first = read_time(given.history_start) if given.history_start else min(event.time for event in events)
    training = Span(read_time(given.train_start) if given.train_start else first, scored.start)
    if not first <= training.start < scored.start < scored.end:
        raise typer.BadParameter("--history-start, --train-start, --start and --end must follow each other in time")
    pattern = make_point_pattern(events, given.magnitude_of_completeness, Span(first, scored.end), region, with_sources=True)
    fitting = FittingData(pattern.before(scored.start), training, given.catalog, given.parameters)
    scored_model, baselines = model_and_baselines(given.model, fitting)
    return score_report([score_trial(scored_model, pattern, scored, baselines)])


def _print_scores(scores: dict[str, Any]) -> None:
    baselines = scores["baselines"]
    typer.echo(f"{'':28}{'model':>12}" + "".join(f"{name:>12}" for name in baselines))
    for name in (name for name in SHOWN if name in scores):
        typer.echo(f"{name:28}" + "".join(f"{_number(one[name]):>12}" for one in (scores, *baselines.values())))
    for name in (name for name in GAINS if name in scores):
        gain = scores[name]
        has_interval = gain["low"] is not None
        interval = f"95 % interval {gain['low']:.4f} … {gain['high']:.4f}" if has_interval else "the span is too short for an interval"
        typer.echo(f"{name:28}{_number(gain['mean']):>12}  {interval if gain['mean'] is not None else ''}".rstrip())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"

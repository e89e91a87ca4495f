"""`quakecast evaluate`: score a model on a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.problem import Problem
from stream.cli.options import JsonOption, read_time

EVALUATE_EXAMPLES = (
    "Example: quakecast evaluate --catalog california.csv --magnitude-of-completeness 2.5 --start 2020-01-01 --end 2021-01-01 --model etas"
)

CatalogOption = Annotated[list[Path], typer.Option("--catalog", help="A catalogue file in any form; may be given several times.")]
SHOWN = ("events", "time_log_likelihood", "place_log_likelihood", "magnitude_log_likelihood", "time_mae_minutes", "time_median_ae_minutes",
         "magnitude_mae", "pit_time_ks", "pit_magnitude_ks", "coverage_50", "coverage_90")  # fmt: skip
GAINS = ("gain_over_poisson", "gain_over_etas", "place_gain_over_etas", "gain_over_gutenberg_richter")
MODELS = "pretrained, the folder of a trained model, or a baseline: etas, poisson, weibull, median, textbook."


def evaluate(
    catalog: CatalogOption,
    magnitude_of_completeness: Annotated[
        float, typer.Option("--magnitude-of-completeness", help="Events from this magnitude on are forecast.")
    ],
    start: Annotated[str, typer.Option("--start", help="Start of the scored span.")],
    end: Annotated[str, typer.Option("--end", help="End of the scored span.")],
    history_start: Annotated[
        str | None, typer.Option("--history-start", help="Time from which the catalogue is complete; by default its first event.")
    ] = None,
    train_start: Annotated[
        str | None,
        typer.Option("--train-start", help="Baselines are fitted on the events from here to --start; by default from --history-start."),
    ] = None,
    polygon: Annotated[Path | None, typer.Option("--polygon", help="Corners (latitude, longitude) as .npy: only events inside.")] = None,
    model: Annotated[str, typer.Option("--model", help=MODELS)] = "pretrained",
    parameters: Annotated[
        Path | None, typer.Option("--parameters", help="File of ETAS parameters (JSON), instead of published or fitted ones.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score a model on a catalogue taken as one region: log-likelihoods, errors, calibration, gains over ETAS and Poisson."""
    from models.catalog import Span, each_once, make_point_pattern, read_polygon
    from models.forecaster import FittingData, contenders
    from models.scoring import score_report, score_trial

    events, region = each_once(_events(catalog)), None if polygon is None else read_polygon(polygon)
    if not events:
        raise Problem("no earthquakes in the catalogue", "give one whose events are of the type earthquake")
    scored = Span(read_time(start), read_time(end))
    began = read_time(history_start) if history_start else min(event.time for event in events)
    learned = Span(read_time(train_start) if train_start else began, scored.start)
    if not began <= learned.start < scored.start < scored.end:
        raise typer.BadParameter("--history-start, --train-start, --start and --end must follow each other in time")
    whole = make_point_pattern(events, magnitude_of_completeness, Span(began, scored.end), region)
    chosen, baselines = contenders(model, FittingData(whole.before(scored.start), learned, catalog, parameters))
    scores = score_report([score_trial(chosen, whole, scored, baselines)])
    if json:
        typer.echo(msgspec.json.encode(scores))
    else:
        _print_scores(scores)


def _events(paths: list[Path]) -> list[Event]:
    events = [item for path in paths for item in read_catalog(path) if isinstance(item, Event)]
    if not events:
        raise Problem(f"no events in {', '.join(map(str, paths))}", "give a catalogue with events")
    return events


def _print_scores(scores: dict[str, Any]) -> None:
    baselines = scores["baselines"]
    typer.echo(f"{'':28}{'model':>12}" + "".join(f"{name:>12}" for name in baselines))
    for name in (name for name in SHOWN if name in scores):
        typer.echo(f"{name:28}" + "".join(f"{_number(one[name]):>12}" for one in (scores, *baselines.values())))
    for name in (name for name in GAINS if name in scores):
        gain = scores[name]
        known = gain["low"] is not None
        interval = f"95 % interval {gain['low']:.4f} … {gain['high']:.4f}" if known else "too short a time for an interval"
        typer.echo(f"{name:28}{_number(gain['mean']):>12}  {interval if gain['mean'] is not None else ''}".rstrip())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"

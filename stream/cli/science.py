"""`quakecast train | evaluate`: offline work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.cli.options import JsonOption, RegionsOption, progress_bar, read_time

TRAIN_EXAMPLES = "Example: quakecast train lstm --catalog global.csv --validation-start 2017-01-01 --start 2019-01-01 --seed 1 -o my-model"
EVALUATE_EXAMPLES = (
    "Example: quakecast evaluate --catalog california.csv --magnitude-of-completeness 2.5 --start 2020-01-01 --end 2021-01-01 --model etas"
)

CatalogOption = Annotated[list[Path], typer.Option("--catalog", help="A catalogue file in any form; may be given several times.")]
SHOWN = ("events", "time_log_likelihood", "place_log_likelihood", "magnitude_log_likelihood", "time_mae_minutes", "time_median_ae_minutes",
         "magnitude_mae", "pit_time_ks", "pit_magnitude_ks", "coverage_50", "coverage_90")  # fmt: skip
GAINS = ("gain_over_poisson", "gain_over_etas", "place_gain_over_etas", "gain_over_gutenberg_richter")
MODELS = "pretrained, the folder of a trained model, or a baseline: etas, poisson, weibull, median, textbook."


def train_lstm(
    catalog: CatalogOption,
    validation_start: Annotated[str, typer.Option("--validation-start", help="Train on what came before, choose by what came after.")],
    start: Annotated[str, typer.Option("--start", help="Start of the held-back time: scored once, chooses nothing.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    seed: Annotated[list[int], typer.Option("--seed", help="May be given several times: the best in validation is kept.")] = [0],  # noqa: B006
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most so many; it stops early.")] = 30,
    lowest_magnitude: Annotated[
        float | None, typer.Option("--lowest-magnitude", help="Where the catalogues were cut, if not at their smallest.")
    ] = None,
    regions: RegionsOption = None,
) -> None:
    """Train the LSTM for the region table on catalogues, score it on the held-back time, and write it with its card."""
    from models.dataset import catalogue
    from models.publish import publish
    from models.train import TrainingOptions

    times = (read_time(validation_start), read_time(start))
    if times[0] >= times[1]:
        raise typer.BadParameter("--validation-start must be before --start")
    sources = [catalogue(path.name, _events([path]), *times, lowest_magnitude) for path in catalog]
    with progress_bar() as bar:
        task = bar.add_task("training", total=epochs * len(seed), note="")

        def progress(epoch: int, total: int, scores: dict[str, float]) -> None:
            bar.update(task, completed=epoch, total=total, note="  ".join(f"{name} {value:.3f}" for name, value in scores.items()))

        card = publish(sources, RegionTable.load(regions).region_of, output, TrainingOptions(epochs=epochs), tuple(seed), progress)
    _print_scores(card.scores)
    typer.echo(f"written to {output}; use it with --model {output}", err=True)


def evaluate(
    catalog: CatalogOption,
    magnitude_of_completeness: Annotated[
        float, typer.Option("--magnitude-of-completeness", help="Events from this magnitude on are forecast.")
    ],
    start: Annotated[str, typer.Option("--start", help="Start of the scored time.")],
    end: Annotated[str, typer.Option("--end", help="End of the scored time.")],
    history_start: Annotated[
        str | None, typer.Option("--history-start", help="From when on the catalogue is complete; else its first event.")
    ] = None,
    train_start: Annotated[
        str | None, typer.Option("--train-start", help="Baselines are fitted on what came from here to --start; else from --history-start.")
    ] = None,
    polygon: Annotated[Path | None, typer.Option("--polygon", help="Corners (latitude, longitude) as .npy: only what is inside.")] = None,
    model: Annotated[str, typer.Option("--model", help=MODELS)] = "pretrained",
    parameters: Annotated[
        Path | None, typer.Option("--parameters", help="ETAS parameters (JSON), instead of published or fitted ones.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score a model on a catalogue taken as one region: log-likelihoods, errors, calibration, gains over ETAS and Poisson."""
    from models.contenders import Ground, contenders, earthquakes
    from models.pattern import Span, pattern, read_polygon
    from models.score import report, trial

    events, region = earthquakes(_events(catalog)), None if polygon is None else read_polygon(polygon)
    scored = Span(read_time(start), read_time(end))
    began = read_time(history_start) if history_start else min(event.time for event in events)
    learned = Span(read_time(train_start) if train_start else began, scored.start)
    if not began <= learned.start < scored.start < scored.end:
        raise typer.BadParameter("--history-start, --train-start, --start and --end must follow each other in time")
    whole = pattern(events, magnitude_of_completeness, Span(began, scored.end), region)
    chosen, baselines = contenders(model, Ground(whole.before(scored.start), learned, catalog, parameters))
    scores = report([trial(chosen, whole, scored, baselines)])
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

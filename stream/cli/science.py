"""`quakecast train | evaluate`: offline work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.cli.options import JsonOption, RegionsOption, progress_bar, read_time

TRAIN_EXAMPLES = "Example: quakecast train lstm --catalog global.csv --validation-start 2017-01-01 --start 2019-01-01 --seed 1 -o my-model"
EVALUATE_EXAMPLES = (
    "Example: quakecast evaluate --catalog california.csv --magnitude-of-completeness 2.5 --start 2020-01-01 --end 2021-01-01"
)

CatalogOption = Annotated[list[Path], typer.Option("--catalog", help="A catalogue file in any form; may be given several times.")]
SHOWN = ("events", "time_log_likelihood", "magnitude_log_likelihood", "time_mae_minutes", "time_median_ae_minutes", "magnitude_mae",
         "pit_time_ks", "pit_magnitude_ks", "coverage_50", "coverage_90")  # fmt: skip


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
        str | None, typer.Option("--history-start", help="The memory and the baselines begin here; else at the first event.")
    ] = None,
    polygon: Annotated[Path | None, typer.Option("--polygon", help="Corners (latitude, longitude) as .npy: only what is inside.")] = None,
    model: Annotated[str, typer.Option("--model", help="Folder of a trained model, or pretrained.")] = "pretrained",
    json: JsonOption = False,
) -> None:
    """Score a model on a catalogue taken as one region: log-likelihood, errors, calibration, gain over Poisson."""
    from models import artifact
    from models.evaluate import evaluate as score

    network, _ = artifact.read(None if model == "pretrained" else Path(model))
    began: Instant | None = read_time(history_start) if history_start else None
    scores = score(
        network, _events(catalog), magnitude_of_completeness, read_time(start), read_time(end), polygon=polygon, history_start=began
    )
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
    poisson = scores["baselines"]["poisson"]
    typer.echo(f"{'':28}{'model':>12}{'Poisson':>12}")
    for name in SHOWN:
        typer.echo(f"{name:28}{scores[name]:12.5g}{poisson[name]:12.5g}")
    for name in ("gain_over_poisson", "gain_over_gutenberg_richter"):
        gain = scores[name]
        known = gain["low"] is not None
        interval = f"95 % interval {gain['low']:.4f} … {gain['high']:.4f}" if known else "too short a time for an interval"
        typer.echo(f"{name:28}{gain['mean']:12.4f}  {interval}")

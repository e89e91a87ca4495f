"""`quakecast train`: train models on catalogues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.region import RegionTable
from stream.cli.catalog_options import CATALOG, MAGNITUDE_OF_COMPLETENESS, HistoryStartOption, PolygonOption
from stream.cli.options import ModelOption, RegionsOption, progress_bar, read_time

if TYPE_CHECKING:
    from models.catalog import RegionDataset
    from models.training import Progress

LSTM_EXAMPLES = (
    "Example: quakecast train lstm --catalog california.csv --magnitude-of-completeness 2.5 --polygon california.npy "
    "--history-start 1971-01-01 --start 1981-01-01 --validation-start 1998-01-01 --end 2007-01-01 --seed 1 -o my-model"
)
CNN_EXAMPLES = "Example: quakecast train cnn datasets.toml --model my-lstm --seed 1 -o my-cnn"
GAN_EXAMPLES = "Example: quakecast train gan datasets.toml --seed 1 -o my-gan"
WELL_LOCATED = 1.5
"""Catalogues complete below this magnitude come from dense networks: their location error is taken as 0.05 km instead of 0.1 km."""


DatasetsArgument = Annotated[
    Path | None, typer.Argument(help="A TOML file of several catalogues, for one model of many regions; or give one catalogue by options.")
]
CatalogOption = Annotated[list[Path] | None, CATALOG]
CompletenessOption = Annotated[float | None, MAGNITUDE_OF_COMPLETENESS]
StartOption = Annotated[str | None, typer.Option("--start", help="Start of the training span; by default --history-start.")]
ValidationOption = Annotated[
    str | None, typer.Option("--validation-start", help="End of the training span and start of the validation span.")
]
EndOption = Annotated[str | None, typer.Option("--end", help="End of the validation span; later events are not used.")]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same model.")]
NewModelOption = Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")]


def train_lstm(
    output: NewModelOption,
    datasets_file: DatasetsArgument = None,
    catalog: CatalogOption = None,
    magnitude_of_completeness: CompletenessOption = None,
    polygon: PolygonOption = None,
    history_start: HistoryStartOption = None,
    start: StartOption = None,
    validation_start: ValidationOption = None,
    end: EndOption = None,
    seed: SeedOption = 0,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads that the networks use; loops over pairs of events use all processors.")
    ] = 1,
    reach: Annotated[int, typer.Option("--reach", min=16, help="Number of earlier events searched for an event's local features.")] = 512,
    members: Annotated[int, typer.Option("--members", min=1, help="Number of networks of each kind; their forecasts are averaged.")] = 4,
    hours: Annotated[
        bool,
        typer.Option(
            "--hours", help="Make the hour of the day an input of the memory: some seismic networks detect small events better at night."
        ),
    ] = False,
    source_depth: Annotated[
        float,
        typer.Option(
            "--source-depth",
            min=0.0,
            max=3.0,
            help="Let events down to so many magnitudes below completeness excite the rate; they are not forecast themselves.",
        ),
    ] = 0.0,
    large_events: Annotated[
        bool, typer.Option("--large-events", help="Make the productivity of large events a distribution, learned from their sequences.")
    ] = False,
    places: Annotated[bool, typer.Option("--places/--no-places", help="Train the network of places too.")] = True,
    score_held_back: Annotated[
        bool,
        typer.Option(
            "--score-held-back", help="Score the events after --end too. Do this once, when nothing will be chosen by the scores any more."
        ),
    ] = False,
    regions: RegionsOption = None,
) -> None:
    """Train the LSTM forecaster on one catalogue taken as one region, or on several catalogues for many regions."""
    from models.pipeline import ForecasterOptions, publish_lstm

    one = (catalog, magnitude_of_completeness, polygon, history_start, start, validation_start, end)
    datasets = _datasets(datasets_file, *one, regions, source_depth)
    finest = min(dataset.pattern.magnitude_of_completeness for dataset in datasets)
    narrowest_km = (0.05 if finest < WELL_LOCATED else 0.1) if places else None
    options = ForecasterOptions(
        seed=seed,
        threads=threads,
        reach=reach,
        kernel_members=max(members // 2, 1),
        memory_members=members,
        large_events=large_events,
        hours=hours,
        source_depth=source_depth,
        narrowest_km=narrowest_km,
    )
    with progress_bars() as progress:
        card = publish_lstm(datasets, output, options, progress, score_held_back=score_held_back)
    for name, value in card.training.items():
        typer.echo(f"{name:28}{value:12.5g}")
    typer.echo(f"written to {output}; use it with --model {output}", err=True)


def train_cnn(
    output: NewModelOption,
    datasets_file: DatasetsArgument = None,
    catalog: CatalogOption = None,
    magnitude_of_completeness: CompletenessOption = None,
    polygon: PolygonOption = None,
    history_start: HistoryStartOption = None,
    start: StartOption = None,
    validation_start: ValidationOption = None,
    end: EndOption = None,
    seed: SeedOption = 0,
    model: ModelOption = None,
    regions: RegionsOption = None,
) -> None:
    """Train the CNN for places on top of a trained forecaster (--model), on the same catalogues."""
    from models.artifact import read_forecaster
    from models.cnn import MapOptions
    from models.pipeline import publish_cnn

    datasets = _datasets(datasets_file, catalog, magnitude_of_completeness, polygon, history_start, start, validation_start, end, regions)
    network, base = read_forecaster(model)
    with progress_bars() as progress:
        card = publish_cnn(datasets, output, (network, base.name), MapOptions(), seed, progress)
    _print_scores(card.scores["validation"], output)


def train_gan(
    output: NewModelOption,
    datasets_file: DatasetsArgument = None,
    catalog: CatalogOption = None,
    magnitude_of_completeness: CompletenessOption = None,
    polygon: PolygonOption = None,
    history_start: HistoryStartOption = None,
    start: StartOption = None,
    validation_start: ValidationOption = None,
    end: EndOption = None,
    seed: SeedOption = 0,
    regions: RegionsOption = None,
) -> None:
    """Train the generator of aftershock sequences on the sequences of one or several catalogues."""
    from models.gan import GanOptions
    from models.pipeline import publish_gan

    datasets = _datasets(datasets_file, catalog, magnitude_of_completeness, polygon, history_start, start, validation_start, end, regions)
    with progress_bars() as progress:
        card = publish_gan(datasets, output, GanOptions(), seed, progress)
    _print_scores(card.scores["validation"], output)


def _print_scores(scores: dict[str, Any], output: Path) -> None:
    for name, value in scores.items():
        typer.echo(f"{name:28}{value:12.5g}")
    typer.echo(f"written to {output}; put it in force with quakecast promote {output}", err=True)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show a progress bar for each stage of a training. Yields the function that a training reports its progress to."""
    with progress_bar() as bar:
        tasks: dict[str, Any] = {}

        def progress(stage: str, step: int, steps: int, scores: dict[str, float]) -> None:
            task = tasks.setdefault(stage, None) or bar.add_task(stage, total=steps, note="")
            tasks[stage] = task
            bar.update(task, completed=step, note="  ".join(f"{name} {value:.4f}" for name, value in scores.items()))

        yield progress


def _datasets(
    datasets_file: Path | None,
    catalog: list[Path] | None,
    magnitude_of_completeness: float | None,
    polygon: Path | None,
    history_start: str | None,
    start: str | None,
    validation_start: str | None,
    end: str | None,
    regions: Path | None,
    source_depth: float = 0.0,
) -> list[RegionDataset]:
    """Read the datasets of a file of several catalogues, or the one dataset that the options describe."""
    from models.catalog import SplitDates, newest_versions, read_datasets, read_events, single_region_dataset

    if datasets_file is not None:
        if catalog:
            raise typer.BadParameter("give a TOML file or --catalog, not both")
        return read_datasets(datasets_file, RegionTable.load(regions).region_of, source_depth)
    if not catalog or magnitude_of_completeness is None or validation_start is None or end is None:
        raise typer.BadParameter("give --catalog, --magnitude-of-completeness, --validation-start and --end, or a TOML file")
    first, training = (None if moment is None else read_time(moment) for moment in (history_start, start))
    dates = SplitDates(first, training, read_time(validation_start), read_time(end))
    events, name = newest_versions(read_events(catalog)), catalog[0].name
    return [single_region_dataset(events, magnitude_of_completeness, polygon, dates, name, with_sources=source_depth > 0.0)]

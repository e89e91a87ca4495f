"""`quakecast retrain`: train all models on the newest catalogue, and promote those that are better than the ones in force."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import structlog
import typer

from ingest.bus import Log, open_log
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.cli.options import (
    DEFAULT_USGS,
    EMBEDDED,
    BusOption,
    JsonOption,
    ModelsOption,
    RegionsOption,
    UsgsOption,
    read_time,
    require_log,
    start_logging,
    stop_on_signals,
)  # fmt: skip
from stream.cli.train import SeedOption, progress_bars
from stream.promotion import models_in_force, promote

if TYPE_CHECKING:
    from models.pipeline import Decision

RETRAIN_EXAMPLES = "Example: quakecast retrain --from 2015-01-01 --min-magnitude 2.5 --bus kafka://broker:9092 --dry-run"
SECONDS_PER_DAY = 86_400.0
TEN_YEARS_DAYS = 3_652.5

log = structlog.get_logger()


class CatalogueSource(NamedTuple):
    """The source of the events: files, or, without files, a back-fill."""

    files: tuple[Path, ...]
    usgs: str
    start: str | None
    min_magnitude: float


class RetrainOptions(NamedTuple):
    """What is trained, and on which days it is compared: the fields of `models.pipeline.Plan` between the catalogues and their lowest
    magnitude, in the same order."""

    recent_days: float
    validation_days: float
    kinds: tuple[str, ...]
    seed: int
    table: RegionTable
    models: Path | None


def retrain(
    catalog: Annotated[
        list[Path] | None, typer.Option("--catalog", help="Catalogue files, instead of a back-fill; may be given several times.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Back-fill from this time on; by default from ten years ago.")] = None,
    min_magnitude: Annotated[float, typer.Option("--min-magnitude", help="Smallest magnitude of the back-fill.")] = 4.5,
    recent_days: Annotated[
        float, typer.Option("--recent-days", min=1, help="Number of last days on which models are compared; no model is trained on them.")
    ] = 365,
    validation_days: Annotated[
        float, typer.Option("--validation-days", min=1, help="Number of days before those on which weights are selected.")
    ] = 365,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--only", help="Train only this kind, lstm, cnn or gan; may be given several times; by default all three."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train, compare and print the decisions; promote nothing.")] = False,
    every_days: Annotated[
        float | None, typer.Option("--every-days", min=0.01, help="Repeat the training in this interval, until the process is stopped.")
    ] = None,
    seed: SeedOption = 0,
    bus: BusOption = EMBEDDED,
    models: ModelsOption = None,
    usgs: UsgsOption = DEFAULT_USGS,
    regions: RegionsOption = None,
    json: JsonOption = False,
) -> None:
    """Train LSTM, CNN and GAN on the newest catalogue; promote those that score better than the models in force on unseen recent days."""
    from models.registry import KINDS, Registry

    start_logging()
    trained_kinds = tuple(kinds or KINDS)
    if unknown := set(trained_kinds) - set(KINDS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not among {', '.join(KINDS)}", param_hint="--only")
    event_log = open_log(require_log(bus))
    event_log.create_topics()
    Registry(models).remove_leftovers()
    catalogues = CatalogueSource(tuple(catalog or ()), usgs, start, min_magnitude)
    options = RetrainOptions(recent_days, validation_days, trained_kinds, seed, RegionTable.load(regions), models)
    if every_days is None:
        if _retrain_once(catalogues, options, event_log, threading.Event(), dry_run=dry_run, json=json):
            raise typer.Exit(1)
        return
    stop, since = stop_on_signals(), Registry(models).newest_model_time()  # do not train again only because the service was restarted
    while not _wait_until_due(stop, since, every_days):
        since = time.time()
        try:
            _retrain_once(catalogues, options, event_log, stop, dry_run=dry_run, json=json)
        except Problem as problem:  # the next run may succeed; the models in force stay
            log.error("retraining failed", problem=str(problem))  # noqa: TRY400 - a line, no traceback
        except TrainingInterrupted:
            return


class TrainingInterrupted(Exception):
    """A signal arrived during a training. Its results are dropped, and the models in force stay."""


def _wait_until_due(stop: threading.Event, since: float | None, days: float) -> bool:
    """Wait until so many days have passed since a time. Returns whether to stop."""
    until = (since or 0.0) + days * SECONDS_PER_DAY
    return stop.wait(max(until - time.time(), 0.0))


def _retrain_once(
    catalogues: CatalogueSource, options: RetrainOptions, event_log: Log, stop: threading.Event, *, dry_run: bool, json: bool
) -> bool:
    """Train and decide once. Returns whether a kind could not be trained or compared."""
    from models.pipeline import Plan, retrain_models

    failed = False
    with tempfile.TemporaryDirectory(prefix="quakecast-retrain-") as folder, progress_bars() as show_progress:

        def progress(stage: str, step: int, steps: int, scores: dict[str, float]) -> None:
            if stop.is_set():
                raise TrainingInterrupted
            show_progress(stage, step, steps, scores)

        files = catalogues.files or (_backfill(Path(folder), catalogues),)
        plan = Plan(files, *options, None if catalogues.files else catalogues.min_magnitude)
        for decision in retrain_models(plan, models_in_force(event_log), Path(folder), progress):
            _apply_decision(decision, event_log, dry_run=dry_run, json=json)
            failed |= decision.failed
    return failed


def _apply_decision(decision: Decision, event_log: Log, *, dry_run: bool, json: bool) -> None:
    """Print a decision, and promote the new model if it says so."""
    typer.echo(msgspec.json.encode(decision._asdict()) if json else decision.line())
    if decision.promoted and not dry_run:
        promote(event_log, {decision.kind: decision.challenger}, reason=decision.line())


def _backfill(folder: Path, source: CatalogueSource) -> Path:
    """Fetch the newest catalogue, page by page. Returns the file."""
    from ingest.backfill import backfill, backfill_to_file, fdsn_fetch

    now = Instant(round(time.time() * 1_000))
    since = read_time(source.start) if source.start else now.plus(days=-TEN_YEARS_DAYS)
    file = folder / "catalogue.csv"
    result = backfill_to_file(file, backfill(fdsn_fetch(source.usgs, source.min_magnitude), since, now))
    if not result.events:
        raise Problem(f"the catalogue of {source.usgs} from {since} on is empty", "choose an earlier --from or a lower --min-magnitude")
    log.info("back-filled", events=result.events, since=str(since))
    return file

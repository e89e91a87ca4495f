"""`quakecast promote`: put another model in force without a stop."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import typer

from ingest.bus import EVENTS, Log, open_log
from ingest.event import Promotion
from ingest.instant import Instant
from ingest.problem import Problem
from stream.cli.options import EMBEDDED, BusOption, ModelsOption, require_log
from stream.cli.record_lines import describe_promotion, format_record
from stream.core import FORECASTING_KINDS, Lineup
from stream.promotion import champions, champions_before, is_marked, models_in_force, outcomes_of
from stream.promotion import promote as write_promotion
from stream.records import Activation
from stream.trial import try_forecaster

PROMOTE_EXAMPLES = "Example: quakecast promote lstm-1f0c9a77d2e4 --bus kafka://broker:9092 --reason 'better in the last year'"
PATIENCE_SECONDS = 10.0
"""After so long without an answer a line says what may be wrong."""
SECONDS_BETWEEN_READS = 0.5


def promote(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of models, as listed by quakecast models, or folders of new ones; one per kind.")
    ] = None,
    back: Annotated[str | None, typer.Option("--back", help="Roll back to the model of this kind that was in force before.")] = None,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Score the model beside the one in force, without issuing its forecasts.")
    ] = False,
    end_challenge: Annotated[bool, typer.Option("--end-challenge", help="Stop scoring the challenger.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="A reason, which is kept in the record of the promotion.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the workers have answered for every partition; the exit code is 1 if one refuses.")
    ] = False,
    bus: BusOption = EMBEDDED,
    models: ModelsOption = None,
) -> None:
    """Put a model in force without a stop: every worker changes at the same record of the log, and no forecast is left out."""
    if sum((bool(names), back is not None, end_challenge)) != 1:
        raise typer.BadParameter("give names of models, or --back KIND, or --end-challenge")
    event_log = open_log(require_log(bus))
    if back is not None:
        names_by_kind = _champions_before(event_log, back)
    else:
        names_by_kind = _by_kind([_registered_name(name, models) for name in names or []])
    if not end_challenge:
        _try_loading(event_log, names_by_kind, models)
    event_log.create_topics()
    ends = event_log.ends(EVENTS)
    promotion = write_promotion(event_log, names_by_kind, challenger=challenger or end_challenge, reason=reason)
    typer.echo(f"{describe_promotion(promotion)}; {_what_follows(promotion, wait=wait)}")
    if wait and is_marked(promotion):
        _wait_for_answers(event_log, promotion, ends)
    event_log.close()


def _what_follows(promotion: Promotion, *, wait: bool) -> str:
    if not is_marked(promotion):
        return "no forecast depends on it: `quakecast retrain` compares new models with it"
    if not promotion.models:
        answered = "every worker ends it at its next record"
    else:
        answered = "every worker looks for it in its own folder of models (--models) and refuses it if it cannot be used there"
    return f"{answered}; " + ("waiting for the answers" if wait else "`quakecast tail models` shows the answers, --wait waits for them")


def _wait_for_answers(event_log: Log, promotion: Promotion, ends: dict[int, int]) -> None:
    """Print what becomes of a promotion in each partition, until all are known.

    Args:
        ends: the ends of the input before the promotion was written.

    Raises:
        Problem: it was refused.
    """
    partitions, answered = len(ends), dict[int, Activation]()
    reminder_at = time.monotonic() + PATIENCE_SECONDS
    while len(answered) < partitions:
        known = outcomes_of(event_log, promotion, ends)
        for number in sorted(known.keys() - answered.keys()):
            typer.echo(format_record(known[number]))
        answered = known
        if len(answered) < partitions and time.monotonic() >= reminder_at:
            typer.echo(f"{partitions - len(answered)} partitions without an answer: is quakecast forecast running on this log?", err=True)
            reminder_at = math.inf
        time.sleep(SECONDS_BETWEEN_READS)
    refusals = [one.refused for one in answered.values() if one.refused is not None]
    if refusals:
        raise Problem(
            f"refused in {len(refusals)} of {partitions} partitions: {' | '.join(sorted(set(refusals)))}",
            "copy the model into the folder of every worker, and promote it again; the models before are still in force",
        )


def _registered_name(name_or_folder: str, models: Path | None) -> str:
    """Return a model's name. The folder of a model outside the registry is copied into it."""
    from models.registry import Registry

    registry = Registry(models)
    is_listed = Path(name_or_folder).name == name_or_folder and (registry.folder / name_or_folder).is_dir()
    if Path(name_or_folder).is_dir() and not is_listed:
        return registry.add(Path(name_or_folder)).name
    return name_or_folder


def _by_kind(names: list[str]) -> dict[str, str]:
    from models.registry import KINDS

    names_by_kind = {name.partition("-")[0]: name for name in names}
    if unknown := set(names_by_kind) - set(KINDS):
        raise Problem(
            f"there is no kind of model {', '.join(sorted(unknown))}", "give names such as lstm-1f0c9a77d2e4; quakecast models lists them"
        )
    if len(names_by_kind) < len(names):
        raise Problem("two of the models are of the same kind", "promote one model of each kind")
    return names_by_kind


def _champions_before(event_log: Log, kind: str) -> dict[str, str]:
    """Return the champion before the present one with the models trained on it; before the first promotion, the built-in one."""
    from models.registry import built_in

    if kind not in FORECASTING_KINDS:
        names = champions(event_log).get(kind, [])
        earlier = [name for name in names if name != names[-1]]
        before = None if not names else {kind: earlier[-1]} if earlier else {}
    else:
        before = champions_before(event_log, kind)
    if before is None:
        raise Problem(f"no {kind} has been promoted in this log", "name the model to promote instead of --back")
    return before or {kind: built_in(kind)}


def _try_loading(event_log: Log, names_by_kind: dict[str, str], models: Path | None) -> None:
    """Load the models to be promoted together with those that stay in force, and try what they forecast.

    Raises:
        Problem: a model is missing or damaged, was not trained on top of the others, or issues what is not a distribution.
    """
    from models.registry import Registry

    registry = Registry(models)
    for name in names_by_kind.values():
        registry.find(name)
    if any(kind in FORECASTING_KINDS for kind in names_by_kind):
        from models.forecaster import ModelLibrary

        in_force = Lineup().after(Promotion(Instant(0), models_in_force(event_log)))
        library, lineup = ModelLibrary(registry.find), in_force.after(Promotion(Instant(0), names_by_kind))
        try_forecaster(library.forecaster(lineup))
        library.network(lineup)  # outlooks need the places' network too

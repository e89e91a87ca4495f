"""`quakecast promote`: put another model in force without a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.bus import Log, open_log
from ingest.event import Promotion
from ingest.instant import Instant
from ingest.problem import Problem
from stream.cli.options import EMBEDDED, BusOption, ModelsOption, require_log
from stream.core import FORECASTING_KINDS, Lineup
from stream.promotion import champions, champions_before, models_in_force
from stream.promotion import promote as write_promotion
from stream.trial import try_forecaster

PROMOTE_EXAMPLES = "Example: quakecast promote lstm-1f0c9a77d2e4 --bus kafka://broker:9092 --reason 'better in the last year'"


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
    promotion = write_promotion(event_log, names_by_kind, challenger=challenger or end_challenge, reason=reason)
    event_log.close()
    promoted_names = ", ".join(names_by_kind.values()) if names_by_kind else "no model"
    typer.echo(
        f"promoted{' as challenger' if promotion.challenger else ''}: {promoted_names}; `quakecast tail models` shows when it is in force"
    )


def _registered_name(name_or_folder: str, models: Path | None) -> str:
    """Return a model's name. The folder of a model outside the registry is copied into it."""
    from models.registry import Registry

    registry = Registry(models)
    if Path(name_or_folder).is_dir() and not (registry.folder / name_or_folder).is_dir():
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
        try_forecaster(ModelLibrary(registry.find).forecaster(in_force.after(Promotion(Instant(0), names_by_kind))))

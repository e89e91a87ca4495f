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
from stream.promotion import promote as promoted

PROMOTE_EXAMPLES = "Example: quakecast promote lstm-1f0c9a77d2e4 --bus kafka://broker:9092 --reason 'better in the last year'"


def promote(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of models, as listed by quakecast models, or folders of new ones; one per kind.")
    ] = None,
    back: Annotated[str | None, typer.Option("--back", help="Roll back to the model of this kind that was in force before.")] = None,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Score it beside the model in force, without issuing its forecasts.")
    ] = False,
    end_challenge: Annotated[bool, typer.Option("--end-challenge", help="End the challenge.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the promotion.")] = "",
    bus: BusOption = EMBEDDED,
    models: ModelsOption = None,
) -> None:
    """Put a model in force: every worker changes at the same record of the log, and no forecast is missing."""
    if sum((bool(names), back is not None, end_challenge)) != 1:
        raise typer.BadParameter("give names of models, or --back KIND, or --end-challenge")
    event_log = open_log(require_log(bus))
    chosen = _champions_before(event_log, back) if back is not None else _by_kind([_registered_name(one, models) for one in names or []])
    if not end_challenge:
        _try_out(event_log, chosen, models)
    promotion = promoted(event_log, chosen, challenger=challenger or end_challenge, reason=reason)
    event_log.close()
    said = ", ".join(chosen.values()) if chosen else "no model"
    typer.echo(f"promoted{' as challenger' if promotion.challenger else ''}: {said}; `quakecast tail models` shows when it is in force")


def _registered_name(given: str, models: Path | None) -> str:
    """Return a model's name; a folder outside the registry is copied into it."""
    from models.registry import Registry

    registry = Registry(models)
    if Path(given).is_dir() and not (registry.folder / given).is_dir():
        return registry.add(Path(given)).name
    return given


def _by_kind(names: list[str]) -> dict[str, str]:
    from models.registry import KINDS

    chosen = {name.partition("-")[0]: name for name in names}
    if unknown := set(chosen) - set(KINDS):
        raise Problem(
            f"{', '.join(sorted(unknown))}: no kind of model", "give names such as lstm-1f0c9a77d2e4; quakecast models lists them"
        )
    if len(chosen) < len(names):
        raise Problem("two models of one kind", "promote one of each kind")
    return chosen


def _champions_before(event_log: Log, kind: str) -> dict[str, str]:
    """Return the champion before the present one with the models trained on it; before the first promotion, the built-in one."""
    from models.registry import built_in

    if kind not in FORECASTING_KINDS:
        names = champions(event_log).get(kind, [])
        earlier = [name for name in names if name != names[-1]]
        found = None if not names else {kind: earlier[-1]} if earlier else {}
    else:
        found = champions_before(event_log, kind)
    if found is None:
        raise Problem(f"no {kind} has been promoted in this log", "there is nothing to go back to")
    return found or {kind: built_in(kind)}


def _try_out(event_log: Log, chosen: dict[str, str], models: Path | None) -> None:
    """Load the models to be promoted together with those that stay in force.

    Raises:
        Problem: a model is missing or damaged, or was not trained for the others.
    """
    from models.registry import Registry

    registry = Registry(models)
    for name in chosen.values():
        registry.find(name)
    if any(kind in FORECASTING_KINDS for kind in chosen):
        from models.forecaster import ModelLibrary

        staying = Lineup().after(Promotion(Instant(0), models_in_force(event_log)))
        ModelLibrary(registry.find).forecaster(staying.after(Promotion(Instant(0), chosen)))

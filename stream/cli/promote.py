"""`quakecast promote`: another model comes into force, without a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.bus import Log, open_log
from ingest.event import Promotion
from ingest.instant import Instant
from ingest.problem import Problem
from stream.cli.options import EMBEDDED, BusOption, ModelsOption, existing
from stream.core import FORECASTING_KINDS, Lineup
from stream.promotion import champions, champions_before, models_in_force
from stream.promotion import promote as promoted

PROMOTE_EXAMPLES = "Example: quakecast promote lstm-1f0c9a77d2e4 --bus kafka://broker:9092 --reason 'better in the last year'"


def promote(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models by name, as quakecast models lists them, or folders of new ones; one of a kind.")
    ] = None,
    back: Annotated[str | None, typer.Option("--back", help="Roll back: the model of this kind that was in force before.")] = None,
    challenger: Annotated[bool, typer.Option("--challenger", help="In shadow: scored beside the champion, but not said.")] = False,
    end_challenge: Annotated[bool, typer.Option("--end-challenge", help="The challenger leaves.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the promotion.")] = "",
    bus: BusOption = EMBEDDED,
    models: ModelsOption = None,
) -> None:
    """Put a model in force: every worker swaps at the same record of the log, and no forecast is missing."""
    if sum((bool(names), back is not None, end_challenge)) != 1:
        raise typer.BadParameter("give names of models, or --back KIND, or --end-challenge")
    event_log = open_log(existing(bus))
    chosen = _before(event_log, back) if back is not None else _by_kind([_named(one, models) for one in names or []])
    if not end_challenge:
        _try_out(event_log, chosen, models)
    promotion = promoted(event_log, chosen, challenger=challenger or end_challenge, reason=reason)
    event_log.close()
    said = ", ".join(chosen.values()) if chosen else "no model"
    typer.echo(f"promoted{' as challenger' if promotion.challenger else ''}: {said}; quakecast tail models tells when it is in force")


def _named(given: str, models: Path | None) -> str:
    """A model's name; a folder that is none of the registry's is copied in."""
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


def _before(event_log: Log, kind: str) -> dict[str, str]:
    """The champion before the one in force, with the models that then rested on it; before the first promotion it was the built-in one."""
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
    """Find and load what is to be promoted, with what would stay in force beside it.

    Raises:
        Problem: a model is missing, damaged, or does not go with the others.
    """
    from models.registry import Registry

    registry = Registry(models)
    for name in chosen.values():
        registry.find(name)
    if any(kind in FORECASTING_KINDS for kind in chosen):
        from models.forecaster import ModelLibrary

        staying = Lineup().after(Promotion(Instant(0), models_in_force(event_log)))
        ModelLibrary(registry.find).forecaster(staying.after(Promotion(Instant(0), chosen)))

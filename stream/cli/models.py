"""`quakecast models`: list the models, and those in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from ingest.bus import open_log
from stream.cli.options import JsonOption, ModelsOption, require_log
from stream.promotion import models_in_force

if TYPE_CHECKING:
    from models.registry import Entry

MODELS_EXAMPLES = "Example: quakecast models --bus kafka://broker:9092"
HEADLINES = {
    "lstm": ("gain_over_poisson", "place_log_likelihood", "magnitude_log_likelihood"),
    "cnn": ("validation_gain", "magnitude_gain"),
    "gan": ("validation_energy", "auc"),
}


def models(
    models: ModelsOption = None,
    bus: Annotated[
        str | None,
        typer.Option("--bus", envvar="QUAKECAST_BUS", help="The log; the models that its promotions put in force are marked with *."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the models that can be promoted: the built-in ones, and those in a folder."""
    from models.registry import Registry

    registry = Registry(models)
    entries = list(registry.entries())
    in_force = registry.models_in_use({} if bus is None else _champions(bus))
    if json:
        rows = [_row(entry, in_force.get(entry.kind) == entry.name) for entry in entries]
        typer.echo(msgspec.json.encode(rows))
        return
    for entry in entries:
        typer.echo(_line(entry, in_force.get(entry.kind) == entry.name, has_log=bus is not None))


def _champions(bus: str) -> dict[str, str]:
    event_log = open_log(require_log(bus))
    event_log.create_topics()
    champions = models_in_force(event_log)
    event_log.close()
    return champions


def _row(entry: Entry, in_force: bool) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "folder": str(entry.folder),
        "built_in": entry.built_in,
        "in_force": in_force,
        "intact": entry.damage is None,
        "damage": entry.damage,
        "base": entry.card.get("base") or None,
        "learned_until": _trained_until(entry),
        "headline": dict(_headline(entry)),
    }


def _line(entry: Entry, in_force: bool, *, has_log: bool) -> str:
    if entry.damage is not None:
        return f"  {entry.name:18} DAMAGED   {entry.damage}"
    scores = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in _headline(entry))
    mark, origin = "*" if has_log and in_force else " ", "built-in" if entry.built_in else "        "
    base = f", on {entry.card['base']}" if entry.card.get("base") else ""
    until = f"learned until {(_trained_until(entry) or '–')[:10]}"
    return f"{mark} {entry.name:18} {origin}  {until}{base}" + (f": {scores}" if scores else "")


def _trained_until(entry: Entry) -> str | None:
    """Return the end of the last span used in training or for choosing."""
    data = entry.card.get("data") or () if entry.damage is None else ()
    return max((one["validation"]["to"] for one in data), default=None)


def _headline(entry: Entry) -> Iterator[tuple[str, float]]:
    """Yield the main scores, of the held-back span if it was scored, else of the validation span."""
    scores = entry.card.get("scores") or {} if entry.damage is None else {}
    by_name = (scores.get("validation") or {}) | (scores.get("held back") or {})
    for name in HEADLINES.get(entry.kind, ()):
        value = by_name.get(name)
        number = value.get("mean") if isinstance(value, dict) else value
        if isinstance(number, (int, float)):
            yield name, float(number)

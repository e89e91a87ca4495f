"""`quakecast doctor`: check the configuration and everything that the program depends on."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Annotated

import msgspec
import typer

from ingest.bus import DEAD_LETTERS, EVENTS, FORECASTS, open_log
from ingest.region import RegionTable
from ingest.sources import UsgsSource, contact
from stream.cli.options import DEFAULT_USGS, EMBEDDED, BusOption, JsonOption, OptionalStoreOption, RegionsOption, UsgsOption
from stream.monitoring import ForecastsProbe, Probe, StoreProbe, check_models, public_address, run_probe
from stream.store import open_store

DOCTOR_EXAMPLES = "Example: quakecast doctor --bus kafka://broker:9092 --store redis://redis:6379/0"


def doctor(
    bus: BusOption = EMBEDDED,
    store: OptionalStoreOption = None,
    usgs: UsgsOption = DEFAULT_USGS,
    regions: RegionsOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Run only this check: versions, regions, model, feed, log, store or forecasts; may be given several times."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check what is reachable, what is configured and what is wrong. Exit code 1 if something is wrong."""
    checks: list[tuple[str, Probe]] = [
        ("versions", _versions),
        ("regions", lambda: f"{len(list(RegionTable.load(regions)))} regions, table {RegionTable.load(regions).fingerprint}"),
        ("model", _model),
        ("feed", lambda: _feed(usgs)),
        ("log", lambda: _log(bus)),
        ("store", StoreProbe(store or bus)),
        ("forecasts", lambda: _forecasts(bus, store or bus)),
    ]
    if unknown := set(only or ()) - {name for name, _ in checks}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not among {', '.join(name for name, _ in checks)}", param_hint="--only")
    results = [(name, *run_probe(check)[:2]) for name, check in checks if not only or name in only]
    if json:
        typer.echo(msgspec.json.encode([{"check": n, "ok": ok, "found": text} for n, ok, text in results]))
    else:
        for name, ok, text in results:
            typer.echo(f"{'ok   ' if ok else 'WRONG'} {name:10} {text}")
    raise typer.Exit(0 if all(ok for _, ok, _ in results) else 1)


def _versions() -> str:
    packages = ("torch", "kafka-python", "redis", "obspy", "numpy")
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def _model() -> str:
    from models.forecaster import LstmForecaster

    return LstmForecaster.load().name


def _feed(usgs: str) -> str:
    return UsgsSource(usgs, contact()).check()


def _log(bus: str) -> str:
    event_log = open_log(bus)
    event_log.create_topics()
    counts = {topic: sum(event_log.ends(topic).values()) for topic in (EVENTS, FORECASTS, DEAD_LETTERS)}
    return f"{public_address(bus)}: " + ", ".join(f"{topic} {count}" for topic, count in counts.items())


def _forecasts(bus: str, store: str) -> str:
    lag, positions = ForecastsProbe(bus, store)(), open_store(store).positions()
    if not positions:
        return f"{lag}, no worker has saved a state"
    return f"{lag}, stream time {max(position.clock for position in positions.values())}, by {check_models(positions)}"

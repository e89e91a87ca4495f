"""`quakecast backfill`: fetch a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.instant import MILLISECONDS_PER_DAY
from stream.cli.options import (
    DEFAULT_USGS,
    UsgsOption,
    progress_bar,
    read_time,
)  # fmt: skip

BACKFILL_EXAMPLES = "Example: quakecast backfill --from 2023-01-01 --to 2024-01-01 --min-magnitude 4.5 -o catalogue.csv"


def backfill(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: USGS CSV; .xz or .gz compresses it.")],
    start: Annotated[str, typer.Option("--from", help="Origin times from this time on.")],
    end: Annotated[str, typer.Option("--to", help="Origin times before this time.")],
    min_magnitude: Annotated[float | None, typer.Option("--min-magnitude", help="Only events of at least this magnitude.")] = None,
    usgs: UsgsOption = DEFAULT_USGS,
) -> None:
    """Fetch a catalogue from the FDSN event service, page by page."""
    from ingest import backfill as pages

    span = (read_time(start), read_time(end))
    if span[0] >= span[1]:
        raise typer.BadParameter("--from must be before --to")
    with progress_bar() as bar:
        task = bar.add_task("fetching", total=(span[1] - span[0]) / MILLISECONDS_PER_DAY, note="")
        fetch = pages.fdsn_fetch(usgs, min_magnitude)
        items = pages.backfill(
            fetch, *span, lambda done, total: bar.update(task, completed=done, total=total, note=f"{done:.0f} of {total:.0f} days")
        )
        outcome = pages.backfill_to_file(output, items)
    odd = f", {len(outcome.dead_letters)} oddities" if outcome.dead_letters else ""
    typer.echo(f"{outcome.events} events written to {output}{odd}", err=True)

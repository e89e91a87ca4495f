"""`quakecast backfill`: fetch a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.instant import MILLISECONDS_PER_DAY
from stream.cli.options import DEFAULT_USGS, UsgsOption, progress_bar, read_time

BACKFILL_EXAMPLES = "Example: quakecast backfill --from 2023-01-01 --to 2024-01-01 --min-magnitude 4.5 -o catalogue.csv"


def backfill(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: USGS CSV; .xz or .gz compresses it.")],
    start: Annotated[str, typer.Option("--from", help="Only events with origin times from this time on.")],
    end: Annotated[str, typer.Option("--to", help="Only events with origin times before this time.")],
    min_magnitude: Annotated[float | None, typer.Option("--min-magnitude", help="Only events of at least this magnitude.")] = None,
    usgs: UsgsOption = DEFAULT_USGS,
) -> None:
    """Fetch a catalogue from the FDSN event service, page by page."""
    from ingest.backfill import backfill as fetch_catalogue
    from ingest.backfill import backfill_to_file, fdsn_fetch

    span = (read_time(start), read_time(end))
    if span[0] >= span[1]:
        raise typer.BadParameter("--from must be before --to")
    with progress_bar() as bar:
        task = bar.add_task("fetching", total=(span[1] - span[0]) / MILLISECONDS_PER_DAY, note="")
        items = fetch_catalogue(
            fdsn_fetch(usgs, min_magnitude),
            *span,
            lambda done, total: bar.update(task, completed=done, total=total, note=f"{done:.0f} of {total:.0f} days"),
        )
        result = backfill_to_file(output, items)
    oddities = f", {len(result.dead_letters)} oddities" if result.dead_letters else ""
    typer.echo(f"{result.events} events written to {output}{oddities}", err=True)

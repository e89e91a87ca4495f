"""Options of `catalog`, `train` and `evaluate`: which catalogue is read, and what of it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CATALOG = typer.Option("--catalog", help="A catalogue file in any form; may be given several times.")
"""Required by `evaluate`; in `train` an alternative to a file of several catalogues."""
MAGNITUDE_OF_COMPLETENESS = typer.Option("--magnitude-of-completeness", help="Events from this magnitude on are forecast.")
PolygonOption = Annotated[Path | None, typer.Option("--polygon", help="Corners (latitude, longitude) as .npy: only events inside.")]
HistoryStartOption = Annotated[
    str | None,
    typer.Option("--history-start", help="Leave out events before this time, for which the catalogue is not complete; by default none."),
]

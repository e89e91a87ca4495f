"""Figures as PNG bytes: the one file that knows how matplotlib is set up. It is loaded with the first figure."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

DOTS_PER_INCH = 110


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure.

    Args:
        width, height: inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def log_colours(least: float, most: float) -> LogNorm:
    """Return a logarithmic colour scale between two positive values."""
    from matplotlib.colors import LogNorm

    return LogNorm(least, most)


def png_of(figure: Figure) -> bytes:
    """Return the figure as PNG; the same figure gives the same bytes, because the version of matplotlib is not written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()

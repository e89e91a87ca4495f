"""Pictures of a training: how its scores moved (PNG)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence


def curves_picture(curves: Mapping[str, Sequence[tuple[int, float]]], unit: str) -> bytes:
    """One panel a score, step by step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 2.2 * max(len(curves), 1)), layout="constrained")
    axes = figure.subplots(max(len(curves), 1), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, points) in zip(axes, curves.items(), strict=False):
        axis.plot(*zip(*points, strict=True), linewidth=1.5, marker="." if len(points) < 40 else None)
        axis.set(title=name.replace("_", " "), ylabel=unit)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()

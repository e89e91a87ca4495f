"""Pictures of the generator, as PNG: how it was trained, sequences that it made beside a real one, and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.figures import new_figure, png_of
from models.gan.evaluation import MEASURES
from models.gan.sequences import AftershockSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
_SHOWN = 3
"""Made sequences beside the real one."""


def training_curves(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Losses of generator and critic, and the energy scores, over the steps; 0.69 is a critic that cannot tell."""
    figure = new_figure(8.0, 3.2)
    duel, energy = figure.subplots(1, 2)
    for name in ("generator", "critic"):
        duel.plot(curves["step"], curves[name], label=name, linewidth=1.3)
    duel.axhline(np.log(2.0), color="0.6", linewidth=0.8, linestyle="--")
    duel.set(title="loss against each other", xlabel="step", ylabel="nats")
    for name, label in (("energy", "training (a batch)"), ("validation_energy", "validation")):
        energy.plot(curves["step"], curves[name], label=label, linewidth=1.3)
    energy.set(title="energy score", xlabel="step", ylabel="standard deviations")
    for axes in (duel, energy):
        axes.legend(frameon=False)
    return png_of(figure)


def sequence_picture(real: AftershockSequence, made: Sequence[AftershockSequence]) -> bytes:
    """A real sequence (above) and some made for the same mainshock: magnitudes over time, and maps."""
    rows = [("observed", real), *((f"simulated, not observed: {number + 1}", one) for number, one in enumerate(made[:_SHOWN]))]
    figure = new_figure(8.0, 2.1 * len(rows))
    axes = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(2.6, 1.0), sharex="col", sharey="col")
    for (name, one), (over_time, place) in zip(rows, axes, strict=True):
        _over_time(over_time, one, name)
        place.scatter(one.east_km, one.north_km, s=3.0 * 4.0 ** np.minimum(one.excesses, 3.0), alpha=0.4, linewidths=0.0)
        place.plot(0.0, 0.0, marker="*", color="black", markersize=7.0, linestyle="none")
        place.set(aspect="equal", ylabel="km")
    axes[-1][0].set_xlabel("days since the mainshock")
    axes[-1][1].set_xlabel("km")
    return png_of(figure)


def count_picture(real: AftershockSequence, made: Mapping[str, Sequence[AftershockSequence]], days: float) -> bytes:
    """The number of aftershocks so far: as it was, and the middle and 95 % of what each maker makes."""
    figure = new_figure(6.5, 4.0)
    axes, moments = figure.subplots(), np.geomspace(1e-3, days, 100)
    for name, group in made.items():
        counts = np.array([np.searchsorted(one.days, moments) for one in group])  # (K, 100)
        (line,) = axes.plot(moments, np.median(counts, 0), label=name, linewidth=1.3)
        axes.fill_between(moments, *np.quantile(counts, (0.025, 0.975), axis=0), color=line.get_color(), alpha=0.15, linewidth=0.0)
    axes.step(moments, np.searchsorted(real.days, moments), color="black", label="observed", linewidth=1.5)
    axes.set(xscale="log", xlabel="days since the mainshock", ylabel="aftershocks so far")
    axes.set_yscale("symlog", linthresh=10.0)
    axes.set_title(f"M {real.condition.magnitude:.1f}, {str(real.moment)[:10]}, from M {real.condition.magnitude_of_completeness:g} on")
    axes.legend(frameon=False)
    return png_of(figure)


def score_picture(compared: Mapping[str, Any]) -> bytes:
    """Distances from the real sequences by measure, and the classifier's AUC, of each maker with 95 % intervals."""
    figure = new_figure(8.0, 3.4)
    distances, auc = figure.subplots(1, 2, width_ratios=(2.6, 1.0))
    makers: Mapping[str, Any] = compared["makers"]
    for number, (name, found) in enumerate(makers.items()):
        shift = (number - (len(makers) - 1) / 2.0) * 0.15
        values = [found["distances"][measure] for measure in MEASURES]
        _with_bars(distances, np.arange(len(MEASURES)) + shift, [(one["wasserstein"], one["low"], one["high"]) for one in values], name)
        told = found["classifier"]
        _with_bars(auc, np.array([shift]), [(told["auc"], told["low"], told["high"])], name)
    distances.set_xticks(range(len(MEASURES)), [measure.replace("_", " ") for measure in MEASURES], rotation=20)
    distances.set(ylabel="Wasserstein distance, standard deviations", ylim=(0.0, None))
    auc.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--")
    auc.set(ylim=(0.4, 1.0), ylabel="AUC of a classifier", xticks=[], xlim=(-0.6, 0.6))
    distances.legend(frameon=False)
    return png_of(figure)


def _over_time(axes: Axes, one: AftershockSequence, name: str) -> None:
    axes.vlines(one.days, one.condition.magnitude_of_completeness, one.magnitudes, linewidth=0.6)
    axes.plot(0.0, one.condition.magnitude, marker="*", color="black", markersize=7.0, linestyle="none")
    axes.set(title=f"{name} ({len(one)} events)", ylabel="magnitude")


def _with_bars(axes: Axes, places: Any, values: Sequence[tuple[float, float, float]], name: str) -> None:
    middle, low, high = np.array(values).T
    axes.errorbar(places, middle, [np.maximum(middle - low, 0.0), np.maximum(high - middle, 0.0)], fmt="o", markersize=4.0, label=name)

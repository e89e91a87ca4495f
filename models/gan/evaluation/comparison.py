"""Made sequences beside the real ones that came after the same mainshocks: a table ready for JSON.

Wasserstein distances are in standard deviations of the real values; differences are paired: the same mainshocks are drawn for both sides of
a bootstrap sample (Efron 1979), so their intervals say whether one is really nearer than the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp, wasserstein_distance  # type: ignore[import-untyped, unused-ignore]

from ingest.problem import Problem
from models.gan.evaluation.classifier import area_with_interval, classifier_scores
from models.gan.evaluation.measures import MEASURES, b_value, descriptions, log_waits, median_log_distance, omori_p
from models.gan.evaluation.mode_collapse import modes
from models.gan.networks import Simulated
from models.gan.sequences import DAYS, AftershockSequence
from models.numerics import FloatArray

FEWEST_MAINSHOCKS = 20
RESAMPLES = 200
_MOST_WAITS = 200
"""Of a sequence, spread evenly over their order."""


def compare(
    real: Sequence[AftershockSequence],
    simulated: Mapping[str, Sequence[Sequence[AftershockSequence]]],
    days: float = DAYS,
    rival: str = "etas",
    seed: int = 0,
) -> dict[str, Any]:
    """The classifier's AUC, the distances and the measures of mode collapse of each maker, and how much nearer each is than the rival.

    Args:
        real: R sequences.
        simulated: by maker, for each real sequence the same number (at least 2) made for its mainshock.

    Raises:
        Problem: too few mainshocks.
    """
    if len(real) < FEWEST_MAINSHOCKS:
        raise Problem(f"{len(real)} sequences to compare with, {FEWEST_MAINSHOCKS} are needed", "choose a longer span")
    conditions = np.array([one.condition.features() for one in real])
    told, measured = descriptions(real, days), _measures([[one] for one in real], conditions, days)
    found: dict[str, Any] = {"mainshocks": len(real), "days": days, "makers": {}}
    drawn = np.random.default_rng(seed).integers(0, len(real), (RESAMPLES, len(real)))
    resampled: dict[str, dict[str, FloatArray]] = {}
    for name, made in simulated.items():
        described = np.array([descriptions(each, days) for each in made])
        theirs = _measures(made, conditions, days)
        resampled[name] = {measure: _resampled(measured[measure], theirs[measure], drawn) for measure in MEASURES}
        found["makers"][name] = {
            "classifier": area_with_interval(*classifier_scores(told, described, conditions, seed), seed),
            "distances": {measure: _distance(measured[measure], theirs[measure], resampled[name][measure]) for measure in MEASURES},
            "count_score": _count_score(told[:, 0], described[:, :, 0]),
            "modes": modes(told, described, conditions, seed),
        }
    for name in simulated:
        if rival in simulated and name != rival:
            found["makers"][name][f"over_{rival}"] = _over(found["makers"], resampled, name, rival)
    return found


def as_sequence(made: Simulated, real: AftershockSequence) -> AftershockSequence:
    """What a generator made for a real sequence's mainshock."""
    lowest = real.condition.magnitude_of_completeness
    east, north = made.east_km, made.north_km
    return AftershockSequence(
        real.condition, made.days, np.maximum(made.magnitudes - lowest, 0.0), east, north, made.depth_km - real.condition.depth_km,
        real.moment, real.latitude, real.longitude, real.catalogue,
    )  # fmt: skip


Weighted = list[FloatArray]
"""Of each mainshock the values that there are."""


def _measures(made: Sequence[Sequence[AftershockSequence]], conditions: FloatArray, days: float) -> dict[str, Weighted]:
    """Productivity is told as what is left of the count when the mainshock's size and its catalogue's completeness are taken out."""
    usual = -3.0 + 2.0 * (conditions[:, 0] + 2.5)

    def each(value: Any) -> Weighted:
        every = [np.array([value(one) for one in group], dtype=np.float64) for group in made]
        return [values[np.isfinite(values)] for values in every]

    return {
        "productivity": [np.log1p([float(len(one)) for one in group]) - usual[k] for k, group in enumerate(made)],
        "b_value": each(b_value),
        "omori_p": each(lambda one: omori_p(one, days)),
        "wait": [np.concatenate([_some(log_waits(one)) for one in group]) for group in made],
        "spatial_spread": each(median_log_distance),
    }


def _some(values: FloatArray) -> FloatArray:
    if len(values) <= _MOST_WAITS:
        return values
    return values[np.linspace(0, len(values) - 1, _MOST_WAITS).astype(np.int64)]


def _pooled(values: Weighted, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """All values of some mainshocks, and weights such that each mainshock counts alike."""
    chosen = [values[row] for row in rows.tolist() if len(values[row])]
    if not chosen:
        return np.zeros(1), np.ones(1)
    return np.concatenate(chosen), np.concatenate([np.full(len(one), 1.0 / len(one)) for one in chosen])


def _wasserstein(real: Weighted, made: Weighted, rows: NDArray[np.int64]) -> float:
    ours, our_weights = _pooled(real, rows)
    theirs, their_weights = _pooled(made, rows)
    middle = np.average(ours, weights=our_weights)
    spread = float(np.sqrt(np.average((ours - middle) ** 2, weights=our_weights))) + 1e-9
    return float(wasserstein_distance(ours, theirs, our_weights, their_weights)) / spread


def _resampled(real: Weighted, made: Weighted, drawn: NDArray[np.int64]) -> FloatArray:
    """(S,) the Wasserstein distance over bootstrap samples of the mainshocks."""
    return np.array([_wasserstein(real, made, rows) for rows in drawn])


def _distance(real: Weighted, made: Weighted, resampled: FloatArray) -> dict[str, float]:
    """The Wasserstein distance with its 95 % interval (a little large: bootstrap samples differ), and Kolmogorov–Smirnov's."""
    every = np.arange(len(real))
    low, high = np.quantile(resampled, (0.025, 0.975))
    ks = ks_2samp(_pooled(real, every)[0], _pooled(made, every)[0]).statistic
    return {"wasserstein": _wasserstein(real, made, every), "low": float(low), "high": float(high), "ks": float(ks)}


def _count_score(real: FloatArray, made: FloatArray) -> float:
    """The mean continuous ranked probability score of ln (1 + number), given the mainshock (Gneiting & Raftery 2007): small is good."""
    away = np.abs(made - real[:, None]).mean(1)
    pairs = np.abs(made[:, :, None] - made[:, None, :]).sum((1, 2)) / (made.shape[1] * (made.shape[1] - 1))
    return float((away - 0.5 * pairs).mean())


def _over(makers: dict[str, Any], resampled: dict[str, dict[str, FloatArray]], name: str, rival: str) -> dict[str, Any]:
    """By measure the difference of the distances, the rival's minus this one's (above 0: nearer to the real ones), with its interval."""
    table: dict[str, Any] = {}
    for measure in MEASURES:
        low, high = np.quantile(resampled[rival][measure] - resampled[name][measure], (0.025, 0.975))
        mean = makers[rival]["distances"][measure]["wasserstein"] - makers[name]["distances"][measure]["wasserstein"]
        table[measure] = {"mean": mean, "low": float(low), "high": float(high)}
    return table | {"nearer_on": sum(table[measure]["mean"] > 0.0 for measure in MEASURES), "of": len(MEASURES)}

"""Comparison of generated sequences with the real ones after the same mainshocks: a table that can be written as JSON.

Wasserstein distances are in standard deviations of the real values. Differences between two models are paired: each bootstrap sample
(Efron 1979) has the same mainshocks for both, so an interval that excludes 0 means that one of them is nearer to the real sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp, wasserstein_distance  # type: ignore[import-untyped, unused-ignore]

from ingest.problem import Problem
from models.gan.condition import excess_of, typical_log_count
from models.gan.evaluation.classifier import area_with_interval, classifier_scores
from models.gan.evaluation.measures import MEASURES, b_value, descriptions, log_waits, median_log_distance, omori_p
from models.gan.evaluation.mode_collapse import mode_collapse_measures
from models.gan.networks import SimulatedSequence
from models.gan.sequences import DAYS, AftershockSequence
from models.numerics import FloatArray

FEWEST_MAINSHOCKS = 20
RESAMPLES = 200
MOST_WAITS = 200
"""Number of inter-event times used of a sequence, spread evenly over their order."""

ByMainshock = list[FloatArray]
"""The finite values of a measure, an array for each mainshock."""


def compare(
    real: Sequence[AftershockSequence],
    simulated: Mapping[str, Sequence[Sequence[AftershockSequence]]],
    days: float = DAYS,
    rival: str = "etas",
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the sequences of several models with the real ones.

    Args:
        real: R sequences.
        simulated: by model, for each real sequence the same number (at least 2) generated for its mainshock.
        rival: the model to which the others are compared.

    Returns:
        Under `makers`, for each model the classifier's AUC, the distances by measure, the score of the counts, the measures of mode
        collapse, and how much nearer it is than the rival.

    Raises:
        Problem: too few mainshocks.
    """
    if len(real) < FEWEST_MAINSHOCKS:
        raise Problem(f"{len(real)} sequences to compare with, {FEWEST_MAINSHOCKS} are needed", "choose a longer span")
    conditions = np.array([one.condition.features() for one in real])
    real_descriptions, real_values = descriptions(real, days), _values([[one] for one in real], conditions, days)
    table: dict[str, Any] = {"mainshocks": len(real), "days": days, "makers": {}}
    samples = np.random.default_rng(seed).integers(0, len(real), (RESAMPLES, len(real)))
    resampled: dict[str, dict[str, FloatArray]] = {}
    for name, groups in simulated.items():
        described = np.array([descriptions(group, days) for group in groups])  # (R, K, D)
        values = _values(groups, conditions, days)
        resampled[name] = {measure: _resampled_distances(real_values[measure], values[measure], samples) for measure in MEASURES}
        table["makers"][name] = {
            "classifier": area_with_interval(*classifier_scores(real_descriptions, described, conditions, seed), seed),
            "distances": {measure: _distance(real_values[measure], values[measure], resampled[name][measure]) for measure in MEASURES},
            "count_score": _count_score(real_descriptions[:, 0], described[:, :, 0]),
            "modes": mode_collapse_measures(real_descriptions, described, conditions, seed),
        }
    for name in simulated:
        if rival in simulated and name != rival:
            table["makers"][name][f"over_{rival}"] = _advantage(table["makers"], resampled, name, rival)
    return table


def as_sequence(simulated: SimulatedSequence, real: AftershockSequence) -> AftershockSequence:
    """Return a simulated sequence in the form of a real one, with the mainshock and condition of `real`."""
    lowest = real.condition.magnitude_of_completeness
    excesses = np.maximum(simulated.magnitudes - lowest, 0.0)
    return AftershockSequence(
        real.condition, simulated.days, excesses, simulated.east_km, simulated.north_km, simulated.depth_km - real.condition.depth_km,
        real.moment, real.latitude, real.longitude, real.catalogue,
    )  # fmt: skip


def _values(groups: Sequence[Sequence[AftershockSequence]], conditions: FloatArray, days: float) -> dict[str, ByMainshock]:
    """Return the values of the measures, for each mainshock those of its sequences.

    Productivity is ln (1 + count) minus ln of the typical count, so that magnitude and completeness do not enter.
    """
    typical = typical_log_count(excess_of(conditions))[:, 0]  # (R,)

    def finite_values(measure: Any) -> ByMainshock:
        every = [np.array([measure(one) for one in group], dtype=np.float64) for group in groups]
        return [values[np.isfinite(values)] for values in every]

    return {
        "productivity": [np.log1p([float(len(one)) for one in group]) - typical[k] for k, group in enumerate(groups)],
        "b_value": finite_values(b_value),
        "omori_p": finite_values(lambda one: omori_p(one, days)),
        "wait": [np.concatenate([_evenly_spaced(log_waits(one)) for one in group]) for group in groups],
        "spatial_spread": finite_values(median_log_distance),
    }


def _evenly_spaced(values: FloatArray) -> FloatArray:
    """Return at most `MOST_WAITS` of the values (N,)."""
    if len(values) <= MOST_WAITS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_WAITS).astype(np.int64)]


def _pool(values: ByMainshock, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return all values of some mainshocks, and weights that give each mainshock the same total."""
    chosen = [values[row] for row in rows.tolist() if len(values[row])]
    if not chosen:
        return np.zeros(1), np.ones(1)
    return np.concatenate(chosen), np.concatenate([np.full(len(one), 1.0 / len(one)) for one in chosen])


def _wasserstein(real: ByMainshock, made: ByMainshock, rows: NDArray[np.int64]) -> float:
    """Return the Wasserstein distance over some mainshocks, in standard deviations of the real values."""
    real_values, real_weights = _pool(real, rows)
    made_values, made_weights = _pool(made, rows)
    mean = np.average(real_values, weights=real_weights)
    spread = float(np.sqrt(np.average((real_values - mean) ** 2, weights=real_weights))) + 1e-9
    return float(wasserstein_distance(real_values, made_values, real_weights, made_weights)) / spread


def _resampled_distances(real: ByMainshock, made: ByMainshock, samples: NDArray[np.int64]) -> FloatArray:
    """Return the Wasserstein distances of bootstrap samples of the mainshocks: (S, R) -> (S,)."""
    return np.array([_wasserstein(real, made, rows) for rows in samples])


def _distance(real: ByMainshock, made: ByMainshock, resampled: FloatArray) -> dict[str, float]:
    """Return the Wasserstein distance with its 95 % interval (which lies a little high, as bootstrap samples differ), and the
    Kolmogorov–Smirnov distance."""
    everything = np.arange(len(real))
    low, high = np.quantile(resampled, (0.025, 0.975))
    ks = ks_2samp(_pool(real, everything)[0], _pool(made, everything)[0]).statistic
    return {"wasserstein": _wasserstein(real, made, everything), "low": float(low), "high": float(high), "ks": float(ks)}


def _count_score(real: FloatArray, made: FloatArray) -> float:
    """Return the mean continuous ranked probability score of ln (1 + count) given the mainshock; small is good.

        CRPS = E|X − y| − E|X − X'|/2        Gneiting & Raftery (2007, eq. 21)

    Args:
        real: (R,) y.
        made: (R, K) draws of X.
    """
    error = np.abs(made - real[:, None]).mean(1)
    pairs = np.abs(made[:, :, None] - made[:, None, :]).sum((1, 2)) / (made.shape[1] * (made.shape[1] - 1))
    return float((error - 0.5 * pairs).mean())


def _advantage(makers: dict[str, Any], resampled: dict[str, dict[str, FloatArray]], name: str, rival: str) -> dict[str, Any]:
    """Return, by measure, the rival's distance minus the model's (above 0: the model is nearer to the real values), with intervals."""
    table: dict[str, Any] = {}
    for measure in MEASURES:
        low, high = np.quantile(resampled[rival][measure] - resampled[name][measure], (0.025, 0.975))
        mean = makers[rival]["distances"][measure]["wasserstein"] - makers[name]["distances"][measure]["wasserstein"]
        table[measure] = {"mean": mean, "low": float(low), "high": float(high)}
    return table | {"nearer_on": sum(table[measure]["mean"] > 0.0 for measure in MEASURES), "of": len(MEASURES)}

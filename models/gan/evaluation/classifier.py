"""The classifier two-sample test: can a classifier tell real sequences from made ones? (Lopez-Paz & Oquab 2017, arXiv:1610.06545.)

AUC 0.5: it cannot; 1: always. The classifier is a logistic regression on the descriptions, their squares and products, beside what is known
of the mainshock, so that it also sees what does not go with the condition. It is trained on four fifths of the mainshocks and asked about
the fifth that is left: a real sequence and those made for the same mainshock are always on the same side.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import rankdata  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray

FOLDS = 5
SHRINKAGE = 3e-3
RESAMPLES = 1_000
_CONDITIONS = 4
"""How many of the condition's columns enter products, too."""


def classifier_scores(real: FloatArray, made: FloatArray, conditions: FloatArray, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """(R,) of the real and (R, K) of the made sequences: how real each looks to a classifier that has not seen its mainshock.

    Args:
        real: (R, D) descriptions.
        made: (R, K, D) of the K made for each mainshock.
        conditions: (R, C)
    """
    count, each = made.shape[:2]
    folds = np.random.default_rng(seed).permutation(count) % FOLDS
    told = np.repeat(conditions[:, None], each + 1, 1)  # (R, K + 1, C)
    rows = _columns(np.concatenate((real[:, None], made), 1), told)  # (R, K + 1, F)
    labels = np.zeros((count, each + 1))
    labels[:, 0] = 1.0
    weights = np.where(labels > 0.0, 1.0, 1.0 / each)
    scores = np.zeros((count, each + 1))
    for fold in range(FOLDS):
        taught = folds != fold
        centre, width = rows[taught].mean((0, 1)), rows[taught].std((0, 1)) + 1e-6
        scaled = (rows - centre) / width
        slopes = _fit(scaled[taught].reshape(-1, rows.shape[2]), labels[taught].ravel(), weights[taught].ravel())
        scores[~taught] = scaled[~taught] @ slopes[:-1] + slopes[-1]
    return scores[:, 0], scores[:, 1:]


def area_under_curve(real: FloatArray, made: FloatArray) -> float:
    """The chance that a real one looks more real than a made one (Mann & Whitney 1947)."""
    ranks = rankdata(np.concatenate((real, made)))
    return float((ranks[: len(real)].sum() - len(real) * (len(real) + 1) / 2.0) / (len(real) * len(made)))


def area_with_interval(real: FloatArray, made: FloatArray, seed: int = 0) -> dict[str, float]:
    """The AUC and its 95 % interval over bootstrap samples of the mainshocks; (R,), (R, K)."""
    chance = np.random.default_rng(seed)
    drawn = [chance.integers(0, len(real), len(real)) for _ in range(RESAMPLES)]
    low, high = np.quantile([area_under_curve(real[rows], made[rows].ravel()) for rows in drawn], (0.025, 0.975))
    return {"auc": area_under_curve(real, made.ravel()), "low": float(low), "high": float(high)}


def _columns(descriptions: FloatArray, conditions: FloatArray) -> FloatArray:
    """(..., D), (..., C) -> (..., F): all, with squares and products."""
    crossed = np.concatenate((descriptions, conditions[..., :_CONDITIONS]), -1)
    first, second = np.triu_indices(crossed.shape[-1])
    return np.concatenate((descriptions, conditions, crossed[..., first] * crossed[..., second]), -1)


def _fit(rows: FloatArray, labels: FloatArray, weights: FloatArray) -> FloatArray:
    """(F + 1,) slopes and the constant."""
    signs = 2.0 * labels - 1.0

    def loss(slopes: FloatArray) -> tuple[float, FloatArray]:
        margins = signs * (rows @ slopes[:-1] + slopes[-1])
        pull = -weights * signs / (1.0 + np.exp(np.clip(margins, -50.0, 50.0)))
        penalty = SHRINKAGE * weights.sum()
        value = float((weights * np.logaddexp(0.0, -margins)).sum() + 0.5 * penalty * (slopes[:-1] ** 2).sum())
        return value / weights.sum(), np.append(rows.T @ pull + penalty * slopes[:-1], pull.sum()) / weights.sum()

    fitted: FloatArray = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return fitted

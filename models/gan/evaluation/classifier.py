"""The classifier two-sample test: can a classifier distinguish real sequences from generated ones?

(Lopez-Paz & Oquab 2017, arXiv:1610.06545.) An AUC of 0.5 means that it cannot, 1 that it always can. The classifier is a logistic
regression on the descriptions of the sequences, their squares and products, and the condition, so that it also detects sequences that do
not match their condition. It is trained on four fifths of the mainshocks and applied to the remaining fifth; a real sequence and those
generated for the same mainshock are always in the same part.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import rankdata  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray

FOLDS = 5
PENALTY = 3e-3
RESAMPLES = 1_000
CONDITIONS_IN_PRODUCTS = 4
"""The first columns of the condition, which also enter squares and products."""


def classifier_scores(real: FloatArray, made: FloatArray, conditions: FloatArray, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return how real each sequence looks to a classifier that was not trained on its mainshock.

    Args:
        real: (R, D) descriptions of real sequences.
        made: (R, K, D) descriptions of K sequences generated for each mainshock.
        conditions: (R, C)

    Returns:
        (R,) scores of the real and (R, K) of the generated sequences.
    """
    count, each = made.shape[:2]
    folds = np.random.default_rng(seed).permutation(count) % FOLDS
    repeated = np.repeat(conditions[:, None], each + 1, 1)  # (R, K + 1, C)
    rows = _columns(np.concatenate((real[:, None], made), 1), repeated)  # (R, K + 1, F)
    labels = np.zeros((count, each + 1))
    labels[:, 0] = 1.0
    weights = np.where(labels > 0.0, 1.0, 1.0 / each)
    scores = np.zeros((count, each + 1))
    for fold in range(FOLDS):
        training = folds != fold
        centre, width = rows[training].mean((0, 1)), rows[training].std((0, 1)) + 1e-6
        scaled = (rows - centre) / width
        slopes = _fit(scaled[training].reshape(-1, rows.shape[2]), labels[training].ravel(), weights[training].ravel())
        scores[~training] = scaled[~training] @ slopes[:-1] + slopes[-1]
    return scores[:, 0], scores[:, 1:]


def area_under_curve(real: FloatArray, made: FloatArray) -> float:
    """Return the AUC of scores (R,) and (M,): the probability that a real sequence scores above a generated one (Mann & Whitney 1947)."""
    ranks = rankdata(np.concatenate((real, made)))
    return float((ranks[: len(real)].sum() - len(real) * (len(real) + 1) / 2.0) / (len(real) * len(made)))


def area_with_interval(real: FloatArray, made: FloatArray, seed: int = 0) -> dict[str, float]:
    """Return the AUC of scores (R,) and (R, K), with its 95 % interval over bootstrap samples of the mainshocks."""
    rng = np.random.default_rng(seed)
    samples = [rng.integers(0, len(real), len(real)) for _ in range(RESAMPLES)]
    low, high = np.quantile([area_under_curve(real[rows], made[rows].ravel()) for rows in samples], (0.025, 0.975))
    return {"auc": area_under_curve(real, made.ravel()), "low": float(low), "high": float(high)}


def _columns(descriptions: FloatArray, conditions: FloatArray) -> FloatArray:
    """Return the classifier's input, (..., D), (..., C) -> (..., F): both, and the squares and products."""
    crossed = np.concatenate((descriptions, conditions[..., :CONDITIONS_IN_PRODUCTS]), -1)
    first, second = np.triu_indices(crossed.shape[-1])
    return np.concatenate((descriptions, conditions, crossed[..., first] * crossed[..., second]), -1)


def _fit(rows: FloatArray, labels: FloatArray, weights: FloatArray) -> FloatArray:
    """Fit a logistic regression with a penalty on the squares of the slopes: (N, F), (N,), (N,) -> (F + 1,) slopes and intercept."""
    signs = 2.0 * labels - 1.0

    def loss(slopes: FloatArray) -> tuple[float, FloatArray]:
        margins = signs * (rows @ slopes[:-1] + slopes[-1])
        pull = -weights * signs / (1.0 + np.exp(np.clip(margins, -50.0, 50.0)))
        penalty = PENALTY * weights.sum()
        value = float((weights * np.logaddexp(0.0, -margins)).sum() + 0.5 * penalty * (slopes[:-1] ** 2).sum())
        return value / weights.sum(), np.append(rows.T @ pull + penalty * slopes[:-1], pull.sum()) / weights.sum()

    best: FloatArray = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return best

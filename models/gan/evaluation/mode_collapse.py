"""Measures of mode collapse: do generated sequences cover the real ones, and do they vary enough for one mainshock?

- precision, recall: the share of generated (real) sequences nearer to a real (generated) one than its k-th neighbour (Kynkäänniemi et al.
  2019);
- density, coverage: the number of real sequences that have a generated one within the distance of their k-th real neighbour, and the
  share of real sequences that have any (Naeem et al. 2020, ICML, arXiv:2002.09797). Both are near 1 for equal distributions;
- different_bins: the share of cells (nearest of 20 centres of real sequences) with a significantly different number of generated ones
  (NDB/K, Richardson & Weiss 2018, arXiv:1805.12462); about 0.05 for equal distributions;
- diversity: the standard deviation of a measure over sequences generated for one mainshock, divided by that of real sequences about a
  regression on their conditions;
- duplicates: the share of generated sequences nearer to another generated one than a thousandth of the typical distance of real ones.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.vq import kmeans2  # type: ignore[import-untyped, unused-ignore]
from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray

NEIGHBOURS = 5
BINS = 20
SIGNIFICANT = 1.96
DUPLICATE = 1e-3
"""In typical distances of real sequences."""


def mode_collapse_measures(real: FloatArray, made: FloatArray, conditions: FloatArray, seed: int = 0) -> dict[str, float]:
    """Return all measures by name.

    Args:
        real: (R, D) descriptions of real sequences.
        made: (R, K, D) descriptions of K sequences generated for each mainshock.
        conditions: (R, C)
    """
    centre, width = real.mean(0), real.std(0) + 1e-6
    real, made = (real - centre) / width, (made - centre) / width
    one_each = made[np.arange(len(real)), np.random.default_rng(seed).integers(0, made.shape[1], len(real))]  # (R, D)
    measures = _neighbour_measures(real, one_each)
    measures["different_bins"] = _different_bins(real, made.reshape(-1, real.shape[1]), seed)
    measures["duplicates"] = _duplicates(real, one_each)
    return measures | {f"diversity_{name}": value for name, value in _diversity(real, made, conditions).items()}


def _neighbour_measures(real: FloatArray, made: FloatArray) -> dict[str, float]:
    """Return precision, recall, density and coverage of (R, D) and (M, D) descriptions."""
    k = min(NEIGHBOURS, len(real) - 1)
    real_reach = cKDTree(real).query(real, k + 1)[0][:, k]  # (R,) distance of the k-th neighbour
    made_reach = cKDTree(made).query(made, k + 1)[0][:, k]  # (M,)
    distances = np.sqrt(((real[:, None] - made[None]) ** 2).sum(2))  # (R, M)
    near_real, near_made = distances <= real_reach[:, None], distances <= made_reach[None, :]
    return {
        "precision": float(near_real.any(0).mean()),
        "recall": float(near_made.any(1).mean()),
        "density": float(near_real.sum() / (k * len(made))),
        "coverage": float(near_real.any(1).mean()),
    }


def _different_bins(real: FloatArray, made: FloatArray, seed: int) -> float:
    """Return the share of cells whose shares of real and of generated sequences differ by more than 1.96 standard errors."""
    bins = min(BINS, max(len(real) // 10, 2))
    centres, numbers = kmeans2(real, bins, minit="++", seed=seed)
    real_share = np.bincount(numbers, minlength=bins) / len(real)
    made_share = np.bincount(cKDTree(centres).query(made)[1], minlength=bins) / len(made)
    pooled = (real_share * len(real) + made_share * len(made)) / (len(real) + len(made))
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / len(real) + 1.0 / len(made)))
    return float((np.abs(real_share - made_share) > SIGNIFICANT * error + 1e-12).mean())


def _duplicates(real: FloatArray, made: FloatArray) -> float:
    """Return the share of duplicates among generated sequences with more events than the median: short ones are naturally alike."""
    typical = float(np.median(cKDTree(real).query(real, 2)[0][:, 1])) + 1e-6
    long = made[made[:, 0] > np.quantile(real[:, 0], 0.5)]
    if len(long) < 2:
        return 0.0
    return float((cKDTree(long).query(long, 2)[0][:, 1] < DUPLICATE * typical).mean())


def _diversity(real: FloatArray, made: FloatArray, conditions: FloatArray) -> dict[str, float]:
    """Return the standard deviations within a condition, divided by those of the residuals of a regression of real sequences."""
    regressors = np.column_stack((conditions, np.ones(len(real))))
    slopes = np.linalg.lstsq(regressors, real, rcond=None)[0]
    residual = (real - regressors @ slopes).std(0)
    within = np.sqrt(made.var(1, ddof=1).mean(0))
    return dict(zip(("count", "b", "p"), (within / (residual + 1e-9))[:3].tolist(), strict=True))

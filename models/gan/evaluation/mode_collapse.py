"""Mode collapse, measured: does what is made reach everything that is real, and is it as varied for one and the same mainshock?

- precision, recall: the share of made (real) sequences within the reach of a real (made) one's k-th neighbour (Kynkäänniemi et al. 2019);
- density, coverage: the same by how many, and whether each real sequence has a made one nearer than its k-th real neighbour (Naeem et al.
  2020, ICML, arXiv:2002.09797). Both near 1 if the distributions are alike;
- bins: the share of cells of the real sequences (nearest of 20 centres) whose number of made ones differs significantly (NDB/K, Richardson
  & Weiss 2018, arXiv:1805.12462); with equally many real ones held back it is 0.05 or so by construction;
- diversity: the spread of a measure over sequences made for one mainshock, over the real sequences' spread about what their conditions say;
- duplicates: the share of made sequences nearer to another made one than a thousandth of the real ones' usual distance.
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


def modes(real: FloatArray, made: FloatArray, conditions: FloatArray, seed: int = 0) -> dict[str, float]:
    """All of it.

    Args:
        real: (R, D) descriptions.
        made: (R, K, D)
        conditions: (R, C)
    """
    centre, width = real.mean(0), real.std(0) + 1e-6
    ours, theirs = (real - centre) / width, (made - centre) / width
    one_each = theirs[np.arange(len(real)), np.random.default_rng(seed).integers(0, made.shape[1], len(real))]  # (R, D)
    found = _manifolds(ours, one_each)
    found["different_bins"] = _different_bins(ours, theirs.reshape(-1, real.shape[1]), seed)
    found["duplicates"] = _duplicates(ours, one_each)
    return found | {f"diversity_{name}": value for name, value in _diversity(ours, theirs, conditions).items()}


def _manifolds(real: FloatArray, made: FloatArray) -> dict[str, float]:
    k = min(NEIGHBOURS, len(real) - 1)
    real_reach = cKDTree(real).query(real, k + 1)[0][:, k]  # (R,)
    made_reach = cKDTree(made).query(made, k + 1)[0][:, k]
    apart = np.sqrt(((real[:, None] - made[None]) ** 2).sum(2))  # (R, M)
    near_real, near_made = apart <= real_reach[:, None], apart <= made_reach[None, :]
    return {
        "precision": float(near_real.any(0).mean()),
        "recall": float(near_made.any(1).mean()),
        "density": float(near_real.sum() / (k * len(made))),
        "coverage": float(near_real.any(1).mean()),
    }


def _different_bins(real: FloatArray, made: FloatArray, seed: int) -> float:
    bins = min(BINS, max(len(real) // 10, 2))
    centres, numbers = kmeans2(real, bins, minit="++", seed=seed)
    share = np.bincount(numbers, minlength=bins) / len(real)
    other = np.bincount(cKDTree(centres).query(made)[1], minlength=bins) / len(made)
    pooled = (share * len(real) + other * len(made)) / (len(real) + len(made))
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / len(real) + 1.0 / len(made)))
    return float((np.abs(share - other) > SIGNIFICANT * error + 1e-12).mean())


def _duplicates(real: FloatArray, made: FloatArray) -> float:
    """Sequences with the same few events are left out: those without any are alike by right."""
    usual = float(np.median(cKDTree(real).query(real, 2)[0][:, 1])) + 1e-6
    told = made[made[:, 0] > np.quantile(real[:, 0], 0.5)]
    if len(told) < 2:
        return 0.0
    return float((cKDTree(told).query(told, 2)[0][:, 1] < DUPLICATE * usual).mean())


def _diversity(real: FloatArray, made: FloatArray, conditions: FloatArray) -> dict[str, float]:
    """Standard deviations within a condition, over the real residuals' from a regression on the conditions."""
    told = np.column_stack((conditions, np.ones(len(real))))
    slopes = np.linalg.lstsq(told, real, rcond=None)[0]
    residual = (real - told @ slopes).std(0)
    within = np.sqrt(made.var(1, ddof=1).mean(0))
    return dict(zip(("count", "b", "p"), (within / (residual + 1e-9))[:3].tolist(), strict=True))

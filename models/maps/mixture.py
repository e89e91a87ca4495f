"""The mixture of the maps, with weights for each horizon fitted by the likelihood of where events came.

density(cell) = Σ_i weight_i(h) density_i(cell),     i: the kernels, the smoothed catalogue, even over the area, the long-run map
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np

from models import PRETRAINED
from models.baselines import read_fit
from models.numerics import FloatArray
from models.tectonics import is_dense

COMPONENTS = ("kernels", "smoothed_catalogue", "even", "long_run")
"""The last knows the earthquakes until June 2022: measurements on years before leave it out."""
BUILT_IN = PRETRAINED / "map_weights.json"
_ROUNDS = 2_000


class MapWeights(msgspec.Struct, frozen=True):
    """The weights of the maps of one class of regions."""

    horizons_days: tuple[float, ...]
    """(H,) ascending."""
    weights: tuple[tuple[float, ...], ...]
    """(H, COMPONENTS); each row sums to 1."""

    def mix(self, densities: FloatArray) -> FloatArray:
        """Return the mixture, each row summing to 1: (COMPONENTS, H, C) -> (H, C)."""
        mixture: FloatArray = np.einsum("hi,ihc->hc", np.array(self.weights), densities)
        return np.asarray(mixture / mixture.sum(1, keepdims=True))


class MapWeightsFit(msgspec.Struct, frozen=True):
    """A fit for regions that are complete from small magnitudes on, and for all others."""

    dense: MapWeights
    others: MapWeights
    data: tuple[str, ...] = ()
    """The data of the fit."""

    @property
    def name(self) -> str:
        """Names the exact weights."""
        return f"maps-{sha256(msgspec.json.encode((self.dense, self.others))).hexdigest()[:12]}"

    def of(self, magnitude_of_completeness: float) -> MapWeights:
        """Return the weights of a region."""
        return self.dense if is_dense(magnitude_of_completeness) else self.others


def fit_weights(densities: FloatArray, event_weights: FloatArray) -> FloatArray:
    """Return the weights that maximise Σ_e v_e ln Σ_i weight_i density_i(e), (I,), by expectation–maximisation (Dempster et al. 1977).

    Args:
        densities: (I, E) of each component in the cell of each event.
        event_weights: (E,) v.
    """
    weights = np.full(len(densities), 1.0 / len(densities))
    for _ in range(_ROUNDS):
        parts = weights[:, None] * densities  # (I, E)
        weights = (parts / parts.sum(0) * event_weights).sum(1) / event_weights.sum()
    return weights


def write_weights(fit: MapWeightsFit, file: Path) -> None:
    """Write a fit as JSON; `read_weights` reads it."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(fit)) + b"\n")


def read_weights(file: Path = BUILT_IN) -> MapWeightsFit:
    """Read a fit that `write_weights` wrote; without a file, the built-in one.

    Raises:
        Problem: the file does not exist, or holds no fit.
    """
    return read_fit(file, MapWeightsFit, "weights of maps", _are_consistent, "python -m models.maps.fit")


def _are_consistent(fit: MapWeightsFit) -> bool:
    return all(_adds_up(one) for one in (fit.dense, fit.others))


def _adds_up(one: MapWeights) -> bool:
    rows = np.array(one.weights)
    return rows.shape == (len(one.horizons_days), len(COMPONENTS)) and bool(
        (rows >= 0.0).all() and np.allclose(rows.sum(1), 1.0, atol=1e-3)
    )

"""The kernels' map: where the events of each horizon come by the forecaster's own kernels.

    m(cell) = μ' c_0 [(1 − ε) Σ_j b_j h(t − t_j) K_M / Σ_j b_j h(t − t_j) + ε area share]
              + Σ_j Σ_m Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k c_k K_m

with the corrected weights w, the background μ' and the discs K of `models.place.network`, integrated over the cell, and the yields c of
`models.maps.expected_numbers`: descendants fall where the first of their line does. Divided by its sum over the cells, m is a density.
"""

from __future__ import annotations

import numpy as np
import torch

from models.maps.cells import Cells
from models.maps.disc_masses import Discs, disc_masses
from models.maps.expected_numbers import Yields
from models.maps.moment import MapMoment
from models.numerics import FloatArray
from models.place import slow_days
from models.space_time import require_place
from models.timing import TAUS_DAYS

LEAST_SHARE = 1e-9
"""Discs with a smaller share of every map are left out."""


def kernel_density(moment: MapMoment, cells: Cells, of_horizons: Yields, horizons_days: tuple[float, ...]) -> FloatArray:
    """Return the share of each horizon's events by cell; each row sums to 1: (H, C).

    Args:
        of_horizons: the yields within these horizons.
    """
    background = _background(moment, horizons_days) * of_horizons.of_background  # (H,)
    discs, around_events = _discs(moment, of_horizons, background)
    masses = disc_masses(cells, discs) + ((1.0 - around_events) * background)[:, None] * cells.shares_of_area
    density: FloatArray = masses / masses.sum(1, keepdims=True)
    return density


@torch.no_grad()
def _background(moment: MapMoment, horizons_days: tuple[float, ...]) -> FloatArray:
    """Return μ', with the excitation as it is in the middle of each horizon, (H,) events per day."""
    middle = moment.excitation * np.exp(-0.5 * np.array(horizons_days)[:, None] / TAUS_DAYS)  # (H, 12)
    background: FloatArray = require_place(moment.history.network).background(torch.from_numpy(middle), moment.history.background).numpy()
    return background


def _discs(moment: MapMoment, of_horizons: Yields, background: FloatArray) -> tuple[Discs, float]:
    """Return the discs of all events before the moment with their weights in each map, and 1 − ε (0 without any event)."""
    history, count = moment.history, moment.count
    kernels, place = history.kernels.rows(slice(0, count)), require_place(history.network)
    lags = moment.lags_days[:, None]
    decays = np.exp(-lags / TAUS_DAYS) / TAUS_DAYS  # (N, 12)
    triggered = np.einsum("nmk,nk,hk->nmh", np.exp(kernels.log_weights), decays, of_horizons.of_excitation)
    fading = np.exp(kernels.log_background_weights) * np.exp(kernels.log_shares - lags / slow_days(place.architecture)).sum(1)  # (N,)
    whole = float(fading.sum())
    around_events = 1.0 - float(place.uniform_share.detach()) if whole > 0.0 else 0.0
    mapped = around_events * fading[:, None] / max(whole, 1e-300) * background  # (N, H)
    weights = np.concatenate((triggered, mapped[:, None]), axis=1)  # (N, M + 1, H)
    discs = weights.shape[1]
    rows = np.repeat(np.arange(count), discs)
    powers = np.tile(np.exp(kernels.log_powers), count)
    every = Discs(
        history.places[rows], history.directions[rows], kernels.log_widths.ravel(), kernels.log_stretches.ravel(), powers,
        weights.reshape(count * discs, len(background)),
    )  # fmt: skip
    return every.at_least(LEAST_SHARE), around_events

"""The kernels' map: where the events of each horizon come by the forecaster's own kernels.

    m(cell) = μ' c_0 [(1 − ε) Σ_j b_j h(t − t_j) K_M / Σ_j b_j h(t − t_j) + ε area share]
              + Σ_j Σ_m Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k c_k K_m

with the corrected weights w, the background μ' and the discs K of `models.place.network`, integrated over the cell, and the yields c of
`models.maps.expected_numbers`: descendants fall where the first of their line does. Divided by its sum over the cells, m is a density.
"""

from __future__ import annotations

from typing import NamedTuple

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


class KernelDiscs(NamedTuple):
    """The discs of the N events before a moment, with their weights in the maps of H horizons, and what is even."""

    discs: Discs
    """N (M + 1) of them, event by event, the background's last; weights in expected events."""
    even: FloatArray
    """(H,) expected events that come anywhere in the region."""


def kernel_density(moment: MapMoment, cells: Cells, of_horizons: Yields, horizons_days: tuple[float, ...]) -> FloatArray:
    """Return the share of each horizon's events by cell; each row sums to 1: (H, C).

    Args:
        of_horizons: the yields within these horizons.
    """
    kernels = kernel_discs(moment, of_horizons, horizons_days)
    return density_of(disc_masses(cells, kernels.discs.at_least(LEAST_SHARE)), kernels.even, cells)


def density_of(masses: FloatArray, even: FloatArray, cells: Cells) -> FloatArray:
    """Return what the discs have in each cell, (H, C), with the even part, (H,), as densities whose rows sum to 1, (H, C)."""
    whole = masses + even[:, None] * cells.shares_of_area
    return np.asarray(whole / whole.sum(1, keepdims=True))


def kernel_discs(moment: MapMoment, of_horizons: Yields, horizons_days: tuple[float, ...]) -> KernelDiscs:
    """Return the discs of all events before a moment with their weights in each horizon's map."""
    history, count = moment.history, moment.count
    kernels, place = history.kernels.rows(slice(0, count)), require_place(history.network)
    lags, background = moment.lags_days[:, None], _background(moment, horizons_days) * of_horizons.of_background  # (H,)
    decays = np.exp(-lags / TAUS_DAYS) / TAUS_DAYS  # (N, 12)
    triggered = np.einsum("nmk,nk,hk->nmh", np.exp(kernels.log_weights), decays, of_horizons.of_excitation)
    fading = np.exp(kernels.log_background_weights) * np.exp(kernels.log_shares - lags / slow_days(place.architecture)).sum(1)  # (N,)
    whole = float(fading.sum())
    around_events = 1.0 - float(place.uniform_share.detach()) if whole > 0.0 else 0.0
    mapped = around_events * fading[:, None] / max(whole, 1e-300) * background  # (N, H)
    weights = np.concatenate((triggered, mapped[:, None]), axis=1).reshape(-1, len(background))  # (N (M + 1), H)
    discs = kernels.log_widths.shape[1]
    rows, powers = np.repeat(np.arange(count), discs), np.tile(np.exp(kernels.log_powers), count)
    shape = (kernels.log_widths.ravel(), kernels.log_stretches.ravel(), powers)
    return KernelDiscs(Discs(history.places[rows], history.directions[rows], *shape, weights), (1.0 - around_events) * background)


@torch.no_grad()
def _background(moment: MapMoment, horizons_days: tuple[float, ...]) -> FloatArray:
    """Return μ', with the excitation as it is in the middle of each horizon, (H,) events per day."""
    middle = moment.excitation * np.exp(-0.5 * np.array(horizons_days)[:, None] / TAUS_DAYS)  # (H, 12)
    background: FloatArray = require_place(moment.history.network).background(torch.from_numpy(middle), moment.history.background).numpy()
    return background

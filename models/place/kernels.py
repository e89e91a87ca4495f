"""The spatial kernels of past events: their density at an event's place, and its exact gradient in every parameter.

Each past event j has M discs for the events it triggers, and one more, the last, for the background map. For a target at (t, x),

    T = Σ_j Σ_m K(x − x_j; d_jm, s_jm) Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k                       1/(day km²)
    B = Σ_j K(x − x_j; d_jM, s_jM) b_j Σ_c h_c exp(−(t − t_j)/T_c)                             1/km²

with j over the target's contributors (training) or over all earlier events within reach (scoring).

K = ρ d^ρ/π · (u²/s² + v² s² + d)^−(1+ρ) is the inverse power law of Ogata & Zhuang (2006, Tectonophysics 413, 13–23, eq. 2b), stretched by
s along the event's main direction (u along, v across). Its integral over the plane is 1 for every d, s and ρ > 0.

The decays are interpolated in a table over ln(lag): right to 1 in 10^5.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from models.numerics import FloatArray, compiled_with
from models.place.contributors import offset_km

_LAG_FLOOR_DAYS = 1e-3
_TABLE_STEP = 0.004
_LONGEST_LAG_DAYS = 1e5


class Setting(NamedTuple):
    """The constants of a pattern: they do not change while the kernels are trained."""

    days: FloatArray
    """(N,)"""
    places: FloatArray
    """(N, 3) of `places_of`."""
    directions: FloatArray
    """(N, 2) the main directions of `NeighbourGeometry`."""
    decays: FloatArray
    """(L, K + C) of `decay_table`."""


class Kernels(NamedTuple):
    """The kernels of N events, float64 arrays or tensors: M discs, K time constants, C slow time constants of the background map."""

    log_weights: Any
    """(N, M, K) ln w."""
    log_widths: Any
    """(N, M + 1) ln d, d in km²."""
    log_stretches: Any
    """(N, M + 1) ln s."""
    log_background_weights: Any
    """(N,) ln b, the event's weight in the background map."""
    log_powers: Any
    """(M + 1,) ln ρ."""
    log_shares: Any
    """(C,) ln h, the shares of the slow decays."""

    def rows(self, rows: slice) -> Kernels:
        """Return the kernels of some of the events."""
        weights, widths, stretches, background = (part[rows] for part in self[:4])
        return Kernels(weights, widths, stretches, background, self.log_powers, self.log_shares)

    def numpy(self) -> Kernels:
        """Return the same kernels as arrays, without gradients."""
        return Kernels(*(part.detach().contiguous().numpy() for part in self))


def decay_table(taus: FloatArray, slow_days: FloatArray) -> FloatArray:
    """Return (L, K + C) exp(−lag/τ)/τ and exp(−lag/T), at equal steps of ln(lag + 1.4 minutes)."""
    steps = int((math.log(_LONGEST_LAG_DAYS) - math.log(_LAG_FLOOR_DAYS)) / _TABLE_STEP) + 2
    lags = _LAG_FLOOR_DAYS * np.expm1(_TABLE_STEP * np.arange(steps))[:, None]  # (L, 1)
    return np.concatenate((np.exp(-lags / taus) / taus, np.exp(-lags / slow_days)), axis=1)


@compiled_with(inline="always")
def fill_decays(table: FloatArray, lag_days: float, decays: FloatArray) -> None:
    """Fill `decays` (K + C,) for one lag by linear interpolation between two rows of the table."""
    position = math.log(lag_days / _LAG_FLOOR_DAYS + 1.0) / _TABLE_STEP
    row = min(int(position), len(table) - 2)
    part = position - row
    for k in range(len(decays)):
        decays[k] = table[row, k] + part * (table[row + 1, k] - table[row, k])


@compiled_with(inline="always")
def stretched_squares(offset: tuple[float, float], direction: FloatArray, squeeze: float) -> tuple[float, float]:
    """Return u²/s² and v² s², km²; `squeeze` is s^−2."""
    along = offset[0] * direction[0] + offset[1] * direction[1]
    across = offset[1] * direction[0] - offset[0] * direction[1]
    return along * along * squeeze, across * across / squeeze


@compiled_with(inline="always")
def disc_density(square_km2: float, log_width: float, power: float) -> tuple[float, float, float]:
    """Return the density of a disc at a place: K of the module, per km².

        K = ρ/(π q) (d/q)^ρ,     q = u²/s² + v² s² + d

    Args:
        square_km2: u²/s² + v² s², the sum of what `stretched_squares` returns.
        log_width: ln d, d in km².
        power: ρ.

    Returns:
        K, and q and ln(d/q), of which its gradient is made.
    """
    wide = square_km2 + math.exp(log_width)
    log_ratio = log_width - math.log(wide)
    return power / (math.pi * wide) * math.exp(power * log_ratio), wide, log_ratio


@compiled_with(parallel=True, fastmath=True)
def _densities(
    targets: NDArray[np.int64],
    contributors: NDArray[np.int32],
    use_all: bool,
    reach: int,
    days: FloatArray,
    places: FloatArray,
    directions: FloatArray,
    table: FloatArray,
    weights: FloatArray,
    log_widths: FloatArray,
    squeezes: FloatArray,
    background_weights: FloatArray,
    powers: FloatArray,
    shares: FloatArray,
) -> FloatArray:
    # For each target, over all `reach` events before it or over its contributors, and over each event's discs:
    # T gains K times the event's rate in that disc, Σ_k w exp(−lag/τ)/τ; B gains the last disc's K times b Σ_c h exp(−lag/T).
    densities = np.zeros((len(targets), 2))
    discs, kernels = weights.shape[1:]
    for row in numba.prange(len(targets)):
        i = targets[row]
        decays = np.empty(table.shape[1])
        first = max(i - reach, 0)
        triggered = background = 0.0
        for column in range(i - first if use_all else contributors.shape[1]):
            j = first + column if use_all else contributors[row, column]
            if j < 0:
                continue
            fill_decays(table, days[i] - days[j], decays)
            offset = offset_km(places[j], places[i])
            for m in range(discs + 1):
                along, across = stretched_squares(offset, directions[j], squeezes[j, m])
                height, _, _ = disc_density(along + across, log_widths[j, m], powers[m])
                if m < discs:
                    for k in range(kernels):
                        triggered += height * weights[j, m, k] * decays[k]
                else:
                    for c in range(len(shares)):
                        background += height * background_weights[j] * shares[c] * decays[kernels + c]
        densities[row, 0] = triggered
        densities[row, 1] = background
    return densities


@compiled_with(fastmath=True)
def _gradients(
    targets: NDArray[np.int64],
    contributors: NDArray[np.int32],
    upstream: FloatArray,
    days: FloatArray,
    places: FloatArray,
    directions: FloatArray,
    table: FloatArray,
    weights: FloatArray,
    log_widths: FloatArray,
    squeezes: FloatArray,
    background_weights: FloatArray,
    powers: FloatArray,
    shares: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    # The derivatives of Σ upstream · densities by the fields of `Kernels`, which are logarithms. With q = u²/s² + v² s² + d and `share` =
    # upstream × the disc's term: by ln w, ln b and ln h it is the term itself; by ln d: ρ share − (1 + ρ) share d/q;
    # by ln s: 2 (1 + ρ) share (u²/s² − v² s²)/q; by ln ρ: share (1 + ρ ln(d/q)).
    by_weight, by_width, by_stretch = np.zeros_like(weights), np.zeros_like(log_widths), np.zeros_like(log_widths)
    by_background, by_power, by_share = np.zeros_like(background_weights), np.zeros_like(powers), np.zeros_like(shares)
    discs, kernels = weights.shape[1:]
    decays = np.empty(table.shape[1])
    for row in range(len(targets)):
        i = targets[row]
        for column in range(contributors.shape[1]):
            j = contributors[row, column]
            if j < 0:
                continue
            fill_decays(table, days[i] - days[j], decays)
            offset = offset_km(places[j], places[i])
            for m in range(discs + 1):
                along, across = stretched_squares(offset, directions[j], squeezes[j, m])
                height, wide, log_ratio = disc_density(along + across, log_widths[j, m], powers[m])
                share = 0.0
                if m < discs:
                    for k in range(kernels):
                        part = upstream[row, 0] * height * weights[j, m, k] * decays[k]
                        by_weight[j, m, k] += part
                        share += part
                else:
                    for c in range(len(shares)):
                        part = upstream[row, 1] * height * background_weights[j] * shares[c] * decays[kernels + c]
                        by_share[c] += part
                        share += part
                    by_background[j] += share
                steepness = share * (1.0 + powers[m]) / wide
                by_width[j, m] += share * powers[m] - steepness * math.exp(log_widths[j, m])
                by_stretch[j, m] += 2.0 * steepness * (along - across)
                by_power[m] += share * (1.0 + powers[m] * log_ratio)
    return by_weight, by_width, by_stretch, by_background, by_power, by_share


def kernel_arguments(setting: Setting, kernels: Kernels) -> tuple[FloatArray, ...]:
    """Return the arguments of the compiled loops: the setting, then the kernels' parameters, most of them exponentiated once."""
    weights, squeezes = np.exp(kernels.log_weights), np.exp(-2.0 * kernels.log_stretches)
    return (
        *setting,
        weights,
        kernels.log_widths,
        squeezes,
        np.exp(kernels.log_background_weights),
        np.exp(kernels.log_powers),
        np.exp(kernels.log_shares),
    )


def exact_densities(setting: Setting, kernels: Kernels, targets: NDArray[np.int64], reach: int) -> FloatArray:
    """Return T and B of each target, (T, 2), over all of the `reach` events before it."""
    no_contributors = np.empty((0, 0), np.int32)
    densities: FloatArray = _densities(targets, no_contributors, True, reach, *kernel_arguments(setting, kernels.numpy()))
    return densities


class ContributorDensities(torch.autograd.Function):
    """T and B of each target, (T, 2), over its contributors, (T, A), differentiable in the fields of `Kernels`."""

    @staticmethod
    def forward(
        context: Any, setting: Setting, targets: NDArray[np.int64], contributors: NDArray[np.int32], *kernels: torch.Tensor
    ) -> torch.Tensor:
        context.constants = (setting, targets, contributors)
        context.save_for_backward(*kernels)
        arguments = kernel_arguments(setting, Kernels(*kernels).numpy())
        return torch.from_numpy(_densities(targets, contributors, False, 0, *arguments))

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        setting, targets, contributors = context.constants
        arguments = kernel_arguments(setting, Kernels(*context.saved_tensors).numpy())
        gradients = _gradients(targets, contributors, upstream[0].contiguous().numpy(), *arguments)
        return None, None, None, *(torch.from_numpy(gradient) for gradient in gradients)

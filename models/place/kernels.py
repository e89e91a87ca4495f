"""What past events add to the density at an event's place, with the exact gradient in every kernel.

For a target at (t, x) over its contributors j, with M discs for what an event triggers and one more for the background map,

    T = Σ_j Σ_m K(x − x_j; d_jm, s_jm) Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k                       1/(day km²)
    B = Σ_j K(x − x_j; d_jM, s_jM) b_j Σ_c h_c exp(−(t − t_j)/T_c)                             1/km²

K is the inverse power law ρ d^ρ/π · (u²/s² + v² s² + d)^−(1+ρ) of Ogata & Zhuang (2006, Tectonophysics 413, 13–23, eq. 2b), stretched by s
along the event's main direction (u along, v across): its integral over the plane is 1 for every d, s and ρ > 0.

Decays come from a table over ln(lag), linear between its rows: good to 1 in 10^5.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from models.numerics import FloatArray
from models.place.contributors import offset_km

_LAG_FLOOR_DAYS = 1e-3
_TABLE_STEP = 0.004
_LONGEST_LAG_DAYS = 1e5


class Setting(NamedTuple):
    """What does not change while the kernels are learned."""

    days: FloatArray
    """(N,)"""
    places: FloatArray
    """(N, 3) of `surroundings.places_of`."""
    directions: FloatArray
    """(N, 2)"""
    decays: FloatArray
    """(L, K + C) of `decay_table`."""


class Kernels(NamedTuple):
    """Of N events, float64 arrays or tensors."""

    log_weights: Any
    """(N, M, K) ln w."""
    log_widths: Any
    """(N, M + 1) ln d, d in km²."""
    log_stretches: Any
    """(N, M + 1) ln s."""
    log_worth: Any
    """(N,) ln b."""
    log_powers: Any
    """(M + 1,) ln ρ."""
    log_shares: Any
    """(C,) ln h."""

    def rows(self, rows: slice) -> Kernels:
        """Of some of the events."""
        weights, widths, stretches, worth = (part[rows] for part in self[:4])
        return Kernels(weights, widths, stretches, worth, self.log_powers, self.log_shares)

    def numpy(self) -> Kernels:
        """The arrays behind the tensors."""
        return Kernels(*(part.detach().contiguous().numpy() for part in self))


def decay_table(taus: FloatArray, slow_days: FloatArray) -> FloatArray:
    """(L, K + C) exp(−lag/τ)/τ and exp(−lag/T) at steps of ln(lag + 1.4 minutes)."""
    steps = int((math.log(_LONGEST_LAG_DAYS) - math.log(_LAG_FLOOR_DAYS)) / _TABLE_STEP) + 2
    lags = _LAG_FLOOR_DAYS * np.expm1(_TABLE_STEP * np.arange(steps))[:, None]  # (L, 1)
    return np.concatenate((np.exp(-lags / taus) / taus, np.exp(-lags / slow_days)), axis=1)


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def look_up(table: FloatArray, lag_days: float, decays: FloatArray) -> None:
    """Fill (K + C,) for one lag."""
    spot = math.log(lag_days / _LAG_FLOOR_DAYS + 1.0) / _TABLE_STEP
    row = min(int(spot), len(table) - 2)
    part = spot - row
    for k in range(len(decays)):
        decays[k] = table[row, k] + part * (table[row + 1, k] - table[row, k])


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def squares(offset: tuple[float, float], direction: FloatArray, squeeze: float) -> tuple[float, float]:
    """u²/s² and v² s², km²; `squeeze` is s^−2."""
    along = offset[0] * direction[0] + offset[1] * direction[1]
    across = offset[1] * direction[0] - offset[0] * direction[1]
    return along * along * squeeze, across * across / squeeze


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def disc_density(square_km2: float, log_width: float, power: float) -> tuple[float, float, float]:
    """Return the density of a disc at a place: K of the module, per km².

        K = ρ/(π q) (d/q)^ρ,     q = u²/s² + v² s² + d

    Args:
        square_km2: u²/s² + v² s², the sum of what `squares` returns.
        log_width: ln d, d in km².
        power: ρ.

    Returns:
        K, and q and ln(d/q), of which its gradient is made.
    """
    wide = square_km2 + math.exp(log_width)
    log_ratio = log_width - math.log(wide)
    return power / (math.pi * wide) * math.exp(power * log_ratio), wide, log_ratio


@numba.njit(cache=True, parallel=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def _densities(
    targets: NDArray[np.int64],
    contributors: NDArray[np.int32],
    everyone: bool,
    reach: int,
    days: FloatArray,
    places: FloatArray,
    directions: FloatArray,
    table: FloatArray,
    weights: FloatArray,
    log_widths: FloatArray,
    squeezes: FloatArray,
    worths: FloatArray,
    powers: FloatArray,
    shares: FloatArray,
) -> FloatArray:
    """(B, 2) T and B of each target."""
    densities = np.zeros((len(targets), 2))
    discs, kernels = weights.shape[1:]
    for row in numba.prange(len(targets)):
        i = targets[row]
        decays = np.empty(table.shape[1])
        first = max(i - reach, 0)
        triggered = background = 0.0
        for column in range(i - first if everyone else contributors.shape[1]):
            j = first + column if everyone else contributors[row, column]
            if j < 0:
                continue
            look_up(table, days[i] - days[j], decays)
            offset = offset_km(places[j], places[i])
            for m in range(discs + 1):
                along, across = squares(offset, directions[j], squeezes[j, m])
                height, _, _ = disc_density(along + across, log_widths[j, m], powers[m])
                if m < discs:
                    for k in range(kernels):
                        triggered += height * weights[j, m, k] * decays[k]
                else:
                    for c in range(len(shares)):
                        background += height * worths[j] * shares[c] * decays[kernels + c]
        densities[row, 0] = triggered
        densities[row, 1] = background
    return densities


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
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
    worths: FloatArray,
    powers: FloatArray,
    shares: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Of Σ upstream · densities, in the logarithms: the fields of `Kernels`."""
    by_weight, by_width, by_stretch = np.zeros_like(weights), np.zeros_like(log_widths), np.zeros_like(log_widths)
    by_worth, by_power, by_share = np.zeros_like(worths), np.zeros_like(powers), np.zeros_like(shares)
    discs, kernels = weights.shape[1:]
    decays = np.empty(table.shape[1])
    for row in range(len(targets)):
        i = targets[row]
        for column in range(contributors.shape[1]):
            j = contributors[row, column]
            if j < 0:
                continue
            look_up(table, days[i] - days[j], decays)
            offset = offset_km(places[j], places[i])
            for m in range(discs + 1):
                along, across = squares(offset, directions[j], squeezes[j, m])
                height, wide, log_ratio = disc_density(along + across, log_widths[j, m], powers[m])
                share = 0.0
                if m < discs:
                    for k in range(kernels):
                        part = upstream[row, 0] * height * weights[j, m, k] * decays[k]
                        by_weight[j, m, k] += part
                        share += part
                else:
                    for c in range(len(shares)):
                        part = upstream[row, 1] * height * worths[j] * shares[c] * decays[kernels + c]
                        by_share[c] += part
                        share += part
                    by_worth[j] += share
                steepness = share * (1.0 + powers[m]) / wide
                by_width[j, m] += share * powers[m] - steepness * math.exp(log_widths[j, m])
                by_stretch[j, m] += 2.0 * steepness * (along - across)
                by_power[m] += share * (1.0 + powers[m] * log_ratio)
    return by_weight, by_width, by_stretch, by_worth, by_power, by_share


def arguments(setting: Setting, kernels: Kernels) -> tuple[FloatArray, ...]:
    """What both loops take, out of the logarithms where that saves them work."""
    weights, squeezes = np.exp(kernels.log_weights), np.exp(-2.0 * kernels.log_stretches)
    return (
        *setting,
        weights,
        kernels.log_widths,
        squeezes,
        np.exp(kernels.log_worth),
        np.exp(kernels.log_powers),
        np.exp(kernels.log_shares),
    )


def densities(setting: Setting, kernels: Kernels, targets: NDArray[np.int64], reach: int) -> FloatArray:
    """(B, 2) T and B of each target over the `reach` events before it, none left out."""
    nobody = np.empty((0, 0), np.int32)
    found: FloatArray = _densities(targets, nobody, True, reach, *arguments(setting, kernels.numpy()))
    return found


class Densities(torch.autograd.Function):
    """(B, 2) T and B of each target over its contributors (B, A), with their gradient in the `Kernels`."""

    @staticmethod
    def forward(
        context: Any, setting: Setting, targets: NDArray[np.int64], contributors: NDArray[np.int32], *kernels: torch.Tensor
    ) -> torch.Tensor:
        context.given = (setting, targets, contributors)
        context.save_for_backward(*kernels)
        given = arguments(setting, Kernels(*kernels).numpy())
        return torch.from_numpy(_densities(targets, contributors, False, 0, *given))

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        setting, targets, contributors = context.given
        given = arguments(setting, Kernels(*context.saved_tensors).numpy())
        gradients = _gradients(targets, contributors, upstream[0].contiguous().numpy(), *given)
        return None, None, None, *(torch.from_numpy(gradient) for gradient in gradients)

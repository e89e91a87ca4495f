"""What past events add to the density at a place, cell by cell: `models.place.kernels` split so that a map may re-weight it, exactly.

For a target at (t, x), with π_jc the part of event j in cell c and its age t − t_j in band g,

    T_cg = Σ_j π_jc Σ_m K_m(x − x_j) w_jm(t)     R_cg = Σ_j π_jc Σ_m w_jm(t)
    B_c  = Σ_j π_jc K_M(x − x_j) b_j(t)          W_c  = Σ_j π_jc b_j(t)

in the order | T by age | B |, and | R by age | W |. Summed over the cells they are the numbers of the model without maps.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray
from models.place import Kernels, Setting, disc_density, fill_decays, kernel_arguments, offset_km, stretched_squares


@numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def _sums(
    targets: NDArray[np.int64],
    reach: int,
    cells: NDArray[np.int64],
    parts: FloatArray,
    ages: FloatArray,
    sums: FloatArray,
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
) -> None:
    """Fill (B, 2, bands + 1, cells)."""
    discs, kernels = weights.shape[1:]
    bands = len(ages) + 1
    decays = np.empty(table.shape[1])
    for row in range(len(targets)):
        i = targets[row]
        for j in range(max(i - reach, 0), i):
            lag = days[i] - days[j]
            fill_decays(table, lag, decays)
            band = 0
            while band < bands - 1 and lag > ages[band]:
                band += 1
            offset = offset_km(places[j], places[i])
            triggered = rate = mapped = worth = 0.0
            for m in range(discs + 1):
                along, across = stretched_squares(offset, directions[j], squeezes[j, m])
                height, _, _ = disc_density(along + across, log_widths[j, m], powers[m])
                own = 0.0
                if m < discs:
                    for k in range(kernels):
                        own += weights[j, m, k] * decays[k]
                    triggered += height * own
                    rate += own
                else:
                    for c in range(len(shares)):
                        own += shares[c] * decays[kernels + c]
                    worth = worths[j] * own
                    mapped = height * worth
            for corner in range(cells.shape[1]):
                cell, part = cells[j, corner], parts[j, corner]
                sums[row, 0, band, cell] += part * triggered
                sums[row, 1, band, cell] += part * rate
                sums[row, 0, bands, cell] += part * mapped
                sums[row, 1, bands, cell] += part * worth


def cell_sums(
    setting: Setting,
    kernels: Kernels,
    targets: NDArray[np.int64],
    reach: int,
    where: tuple[NDArray[np.int64], FloatArray],
    ages_days: tuple[float, ...],
    cells: int,
) -> NDArray[np.float32]:
    """(B, 2, bands + 1, cells) numerators and denominators of the targets over the `reach` events before each, none left out.

    Args:
        where: (N, 4) cells and parts of the events (`Grid.parts`).
        ages_days: where one band of ages ends and the next begins.
    """
    sums = np.zeros((len(targets), 2, len(ages_days) + 2, cells))
    given: tuple[Any, ...] = kernel_arguments(setting, kernels.numpy())
    _sums(targets, reach, *where, np.array(ages_days), sums, *given)
    return sums.astype(np.float32)

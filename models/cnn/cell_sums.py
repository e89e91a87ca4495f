"""The density of `models.place.kernels` at a place, split by the cells and ages of past events, so that the CNN can re-weight each part.

For a target at (t, x), with π_jc the part of event j in cell c (`Grid.parts`), over the events j whose age t − t_j is in band g,

    T_cg = Σ_j π_jc Σ_m K_m(x − x_j) w_jm(t)     R_cg = Σ_j π_jc Σ_m w_jm(t)
    B_c  = Σ_j π_jc K_M(x − x_j) b_j(t)          W_c  = Σ_j π_jc b_j(t)

in the order | T by age | B |, and | R by age | W |. Their sums over cells and bands are the numerators and denominators without the CNN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray, compiled_with
from models.place import Kernels, Setting, disc_density, fill_decays, kernel_arguments, offset_km, stretched_squares


@compiled_with(fastmath=True)
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
    background_weights: FloatArray,
    powers: FloatArray,
    shares: FloatArray,
) -> None:
    # For each target, over all events within reach before it: find the band of the event's age, evaluate all its discs, and add the
    # results to the event's four cells, each by its part. `rate` sums over discs and time constants as `triggered` does, without K.
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
            triggered = rate = mapped = weight = 0.0
            for m in range(discs + 1):
                along, across = stretched_squares(offset, directions[j], squeezes[j, m])
                density, _, _ = disc_density(along + across, log_widths[j, m], powers[m])
                term = 0.0
                if m < discs:
                    for k in range(kernels):
                        term += weights[j, m, k] * decays[k]
                    triggered += density * term
                    rate += term
                else:
                    for c in range(len(shares)):
                        term += shares[c] * decays[kernels + c]
                    weight = background_weights[j] * term
                    mapped = density * weight
            for corner in range(cells.shape[1]):
                cell, part = cells[j, corner], parts[j, corner]
                sums[row, 0, band, cell] += part * triggered
                sums[row, 1, band, cell] += part * rate
                sums[row, 0, bands, cell] += part * mapped
                sums[row, 1, bands, cell] += part * weight


def sums_by_cell(
    setting: Setting,
    kernels: Kernels,
    targets: NDArray[np.int64],
    reach: int,
    grid_parts: tuple[NDArray[np.int64], FloatArray],
    ages_days: tuple[float, ...],
    cells: int,
) -> NDArray[np.float32]:
    """Return the sums at each target over all of the `reach` events before it.

    Args:
        targets: (T,) rows.
        grid_parts: (N, 4) cells and parts of the events (`Grid.parts`).
        ages_days: (bands − 1,) where one band of ages ends and the next begins.
        cells: the number of cells.

    Returns:
        (T, 2, bands + 1, cells): T and B, then R and W.
    """
    sums = np.zeros((len(targets), 2, len(ages_days) + 2, cells))
    arguments: tuple[Any, ...] = kernel_arguments(setting, kernels.numpy())
    _sums(targets, reach, *grid_parts, np.array(ages_days), sums, *arguments)
    return sums.astype(np.float32)

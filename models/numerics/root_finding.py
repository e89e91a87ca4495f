"""Inversion of decreasing functions: the quantiles of distributions that have no formula for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models.numerics.arrays import FloatArray

_MOST_STEPS = 80
_CONVERGED = 1e-12
"""Steps shorter than this end the search."""
_CONVERGING = 1e-5
"""A Newton step this short leaves an error of about its square."""


def invert_decreasing(
    function: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    grid: FloatArray,
    values: FloatArray,
    slopes: FloatArray,
    target: FloatArray,
) -> FloatArray:
    """Return the points at which a decreasing function takes the target values.

    A grid brackets each point; Newton steps refine it, and a step that leaves the bracket is replaced by a bisection.

    Args:
        function: returns value and slope at points of the target's shape.
        grid: (G,) increasing points.
        values: (..., G) the function at the grid's points.
        slopes: (..., G) its slope there.
        target: (..., Q) values; one beyond the grid gives the grid's end.

    Returns:
        (..., Q) points, exact to about 1e-11.
    """
    cell = (values[..., None, :] > target[..., None]).sum(-1)  # (..., Q)
    beyond = (cell == 0) | (cell == len(grid))
    cell = np.minimum(np.maximum(cell, 1), len(grid) - 1)
    low, high = grid[cell - 1], grid[cell]
    with np.errstate(all="ignore"):
        point = _between(low, high, cell, values, slopes, target)
        low, high = np.where(beyond, point, low), np.where(beyond, point, high)
        for _ in range(_MOST_STEPS):
            value, slope = function(point)
            above = value > target
            low, high = np.where(above, point, low), np.where(above, high, point)
            newton = point + (target - value) / slope
            inside = (newton >= low) & (newton <= high)  # also false for NaN
            following = np.where(inside, newton, 0.5 * (low + high))
            moved = np.maximum.reduce(np.abs(following - point), None)
            point = following
            if moved < _CONVERGED or (moved < _CONVERGING and inside.all()):
                break
    return point


def _between(low: FloatArray, high: FloatArray, cell: Any, values: FloatArray, slopes: FloatArray, target: FloatArray) -> FloatArray:
    """Return a first guess inside each cell, (..., Q): the Hermite cubic of the inverse function through the cell's ends."""
    row = np.arange(cell.size).reshape(cell.shape) // cell.shape[-1]
    flat_values, flat_slopes = values.reshape(-1, values.shape[-1]), slopes.reshape(-1, values.shape[-1])
    at_low = flat_values[row, cell - 1]
    rise = flat_values[row, cell] - at_low
    share = np.minimum(np.maximum((target - at_low) / rise, 0.0), 1.0)
    rest = 1.0 - share
    bend = share * rest * rise * (rest / flat_slopes[row, cell - 1] - share / flat_slopes[row, cell])
    guess = low + share * share * (3.0 - 2.0 * share) * (high - low) + bend
    return np.where(np.isfinite(guess), np.minimum(np.maximum(guess, low), high), 0.5 * (low + high))

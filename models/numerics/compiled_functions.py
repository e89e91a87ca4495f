"""Functions of numbers and small arrays for compiled loops (numba); without `fastmath`, so that a sum has one order and one result."""

from __future__ import annotations

import math

from models.numerics.arrays import FloatArray
from models.numerics.compiling import compiled
from models.numerics.geometry import EARTH_RADIUS_KM

_ROOT_HALF = math.sqrt(0.5)
_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_FAR = -20.0
"""Below this the tail of the normal distribution is computed by its asymptotic series."""


@compiled
def compiled_normal_cdf(z: float) -> float:
    """Return Φ(z)."""
    return 0.5 * math.erfc(-z * _ROOT_HALF)


@compiled
def compiled_log_normal_cdf(z: float) -> float:
    """Return ln Φ(z), exact in the lower tail: from −20 down by −z²/2 − ln(−z √2π) + ln(1 − 1/z² + 3/z⁴ − …)."""
    if z > 0.0:
        return math.log1p(-0.5 * math.erfc(z * _ROOT_HALF))
    if z > _FAR:
        return math.log(0.5 * math.erfc(-z * _ROOT_HALF))
    term, series, inverse_square = 1.0, 1.0, 1.0 / (z * z)
    for order in range(1, 10, 2):
        term *= -order * inverse_square
        series += term
    return -0.5 * z * z - math.log(-z) - _HALF_LOG_TWO_PI + math.log(series)


@compiled
def compiled_log_add_exp(one: float, other: float) -> float:
    """Return ln (e^one + e^other) without overflow."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@compiled
def compiled_sigmoid(x: float) -> float:
    """Return 1 / (1 + e^−x)."""
    return 1.0 / (1.0 + math.exp(-x))


@compiled
def compiled_gelu(x: float) -> float:
    """Return x Φ(x), as `gelu`."""
    return 0.5 * x * (1.0 + math.erf(x * _ROOT_HALF))


@compiled
def compiled_bounded(x: float, limit: float) -> float:
    """Return limit · tanh(x / limit)."""
    return limit * math.tanh(x / limit)


# A row of the weights belongs to one input, so that the inner loop runs over the outputs: each of them is a sum of its own, in the order of
# the inputs, and the processor adds to several at a time without changing any.
@compiled
def apply_layer(weight: FloatArray, bias: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Write W x + b into `out`: (inputs, outputs), (outputs,), (inputs,) -> (outputs,)."""
    out[:] = bias
    for i in range(len(x)):
        for o in range(len(out)):
            out[o] += weight[i, o] * x[i]


@compiled
def fill_position_km(latitude: float, longitude: float, position: FloatArray) -> None:
    """Write the position of a point in degrees into `position`, (3,) km, as `position_km`."""
    phi, theta = math.radians(latitude), math.radians(longitude)
    flat = EARTH_RADIUS_KM * math.cos(phi)
    position[0], position[1], position[2] = flat * math.cos(theta), flat * math.sin(theta), EARTH_RADIUS_KM * math.sin(phi)

"""The inputs of the magnitude network without a place, its layers, and its law's survival, compiled for the stream.

The formulas are those of `models.magnitude.features`, `models.magnitude.network` and `models.magnitude.distribution`; tests compare them.
The traces of several moments ahead share their exponentials: exp(−(l + s)/τ) = exp(−l/τ) exp(−s/τ).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.magnitude.architecture import MAGNITUDE_INPUT_LIMIT
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.features import (
    FIRST_LEVEL,
    FIRST_MEAN,
    INPUTS_WITHOUT_PLACE,
    LAG_OFFSET_DAYS,
    LAST_EVENTS,
    LEVEL_DECAYS,
    LEVELS,
    LONGEST_LAG_DAYS,
    LOWEST_LEVEL,
    MAGNITUDE_PRODUCTIVITIES,
    MAGNITUDE_TAUS_DAYS,
    MAGNITUDE_TRACES,
    MEAN_COUNTS,
    POWERS,
    PRIOR_EVENTS,
    PRIOR_EXCESS,
    SINCE_LAST,
    TAUS,
    TRACE_FLOOR,
)
from models.numerics import FloatArray, apply_layer, compiled, compiled_gelu, compiled_normal_cdf

_KNEE = DetectedMagnitude.KNEE


class FrozenMagnitude(NamedTuple):
    """The weights of a `MagnitudeNetwork` without a place: layers are (inputs, outputs)."""

    mean: FloatArray
    scale: FloatArray
    first: FloatArray
    first_bias: FloatArray
    second: FloatArray
    second_bias: FloatArray
    last: FloatArray
    last_bias: FloatArray


@compiled
def inputs_at(lags_days: FloatArray, excesses: FloatArray, ahead_days: FloatArray, reach: int) -> FloatArray:
    """Return the inputs at A moments, as `magnitude_features_at` without a place: (R,), (R,), (A,) -> (A, INPUTS_WITHOUT_PLACE).

    Args:
        lags_days, excesses: of the last events, the newest last.
        ahead_days: the moments, counted from now.
    """
    inputs, traces, first = np.empty((len(ahead_days), INPUTS_WITHOUT_PLACE)), np.zeros((TAUS, POWERS)), max(len(lags_days) - reach, 0)
    for j in range(len(lags_days) - 1, first - 1, -1):
        for k in range(TAUS):
            pulse = math.exp(-lags_days[j] / MAGNITUDE_TAUS_DAYS[k]) / MAGNITUDE_TAUS_DAYS[k]
            for a in range(POWERS):
                traces[k, a] += math.exp(MAGNITUDE_PRODUCTIVITIES[a] * excesses[j]) * pulse
    for n in range(len(ahead_days)):
        row = inputs[n]
        for k in range(TAUS):
            decay = math.exp(-ahead_days[n] / MAGNITUDE_TAUS_DAYS[k])
            for a in range(POWERS):
                row[k * POWERS + a] = math.log(traces[k, a] * decay + TRACE_FLOOR)
        _fill_means(row, excesses[first:], reach)
        _fill_levels(row, lags_days[first:], excesses[first:], ahead_days[n])
    return inputs


# The excesses of the last events, and their shrunken means over growing numbers of events.
@compiled
def _fill_means(row: FloatArray, excesses: FloatArray, reach: int) -> None:
    count = len(excesses)
    for n in range(LAST_EVENTS):
        row[MAGNITUDE_TRACES + n] = excesses[count - 1 - n] if n < count else PRIOR_EXCESS
    for n in range(len(MEAN_COUNTS) + 1):
        counted, total = min(MEAN_COUNTS[n] if n < len(MEAN_COUNTS) else reach, count), 0.0
        for j in range(count - 1, count - 1 - counted, -1):
            total += excesses[j]
        row[FIRST_MEAN + n] = (total + PRIOR_EVENTS * PRIOR_EXCESS) / (counted + PRIOR_EVENTS) - PRIOR_EXCESS


# The hidden levels max (x − c log₁₀ lag), and the logarithms of the last events' lags.
@compiled
def _fill_levels(row: FloatArray, lags_days: FloatArray, excesses: FloatArray, ahead_days: float) -> None:
    row[FIRST_LEVEL:SINCE_LAST] = LOWEST_LEVEL
    row[MAGNITUDE_TRACES + LAST_EVENTS : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
    for j in range(len(lags_days)):
        log_lag = math.log10(lags_days[j] + ahead_days + LAG_OFFSET_DAYS)
        for level in range(LEVELS):
            row[FIRST_LEVEL + level] = max(row[FIRST_LEVEL + level], excesses[j] - LEVEL_DECAYS[level] * log_lag)
        if len(lags_days) - 1 - j < LAST_EVENTS:
            row[MAGNITUDE_TRACES + LAST_EVENTS + len(lags_days) - 1 - j] = log_lag * math.log(10.0)
    row[SINCE_LAST] = row[MAGNITUDE_TRACES + LAST_EVENTS]


@compiled
def outputs_of(inputs: FloatArray, net: FrozenMagnitude) -> FloatArray:
    """Return the outputs of the network for inputs that are not yet scaled: (A, INPUTS_WITHOUT_PLACE) -> (A, OUTPUTS)."""
    outputs, scaled = np.empty((len(inputs), len(net.last_bias))), np.empty(inputs.shape[1])
    hidden, more = np.empty(len(net.first_bias)), np.empty(len(net.second_bias))
    for n in range(len(inputs)):
        for i in range(len(scaled)):
            value = (inputs[n, i] - net.mean[i]) * net.scale[i]
            scaled[i] = min(max(value, -MAGNITUDE_INPUT_LIMIT), MAGNITUDE_INPUT_LIMIT)
        apply_layer(net.first, net.first_bias, scaled, hidden)
        for i in range(len(hidden)):
            hidden[i] = compiled_gelu(hidden[i])
        apply_layer(net.second, net.second_bias, hidden, more)
        for i in range(len(hidden)):
            hidden[i] += compiled_gelu(more[i])
        apply_layer(net.last, net.last_bias, hidden, outputs[n])
    return outputs


@compiled
def survivals(
    log_rates: FloatArray,
    middles: FloatArray,
    log_sigmas: FloatArray,
    log_complete: FloatArray,
    tail_rate: float,
    upper: float,
    excesses: FloatArray,
) -> FloatArray:
    """Return P(x ≥ excess) for each pair of A laws and E excesses, as `DetectedMagnitude.survival`: (A, E)."""
    survival, knee = np.empty((len(log_rates), len(excesses))), min(_KNEE, upper)
    for n in range(len(log_rates)):
        rate, middle, sigma, complete = math.exp(log_rates[n]), middles[n], math.exp(log_sigmas[n]), math.exp(log_complete[n])
        step = math.exp((tail_rate - rate) * _KNEE)
        beyond, beyond_all = step * _detected(tail_rate, middle, sigma, knee, upper), step * _all(tail_rate, knee, upper)
        mass, whole = _detected(rate, middle, sigma, 0.0, knee) + beyond, _all(rate, 0.0, knee) + beyond_all
        for e in range(len(excesses)):
            x = min(max(excesses[e], 0.0), upper)
            if x < knee:
                above, above_all = _detected(rate, middle, sigma, x, knee) + beyond, _all(rate, x, knee) + beyond_all
            else:
                above, above_all = step * _detected(tail_rate, middle, sigma, x, upper), step * _all(tail_rate, x, upper)
            survival[n, e] = (1.0 - complete) * above / mass + complete * above_all / whole
    return survival


@compiled
def _all(rate: float, low: float, high: float) -> float:
    return (math.exp(-rate * low) - math.exp(-rate * high)) / rate


# ∫ exp(−b x) Φ((x − μ)/σ) dx between two excesses; the difference of Φ is taken of the smaller tails.
@compiled
def _detected(rate: float, middle: float, sigma: float, low: float, high: float) -> float:
    at_low, at_high, shift = (low - middle) / sigma, (high - middle) / sigma, rate * sigma
    sign = -1.0 if at_low + shift > 0.0 else 1.0
    between = sign * (compiled_normal_cdf(sign * (at_high + shift)) - compiled_normal_cdf(sign * (at_low + shift)))
    ends = math.exp(-rate * low) * compiled_normal_cdf(at_low) - math.exp(-rate * high) * compiled_normal_cdf(at_high)
    return (ends + math.exp(0.5 * shift * shift - rate * middle) * between) / rate

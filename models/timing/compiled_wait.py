"""The wait of one region after its last event, compiled: the formulas of `models.timing.inter_event_time` for a single row.

Mixtures are summed as they are, and only where all of a sum is too small for a number as logarithms. Quantiles are found by Newton's method
between bounds, on ln(−ln P(wait > t)) in ln t, which is nearly a straight line.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from models.numerics import FloatArray, apply_layer, compiled, compiled_log_add_exp, compiled_log_normal_cdf
from models.timing.compiled_fold import activate
from models.timing.compiled_memory import offsets_of
from models.timing.excitation import KERNELS
from models.timing.formulas import KERNELS_ALONE
from models.timing.frozen_weights import FrozenTiming
from models.timing.inter_event_time import LONGEST_WAIT_DAYS, MOST_STRAY, OFFSET, SHORTEST_WAIT_DAYS, InterEventTime
from models.timing.live_state import COUNT, MEMORY

_ROOT_HALF = math.sqrt(0.5)
_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_TOO_SMALL = 1e-280
_MOST_STEPS, _CONVERGED = 80, 1e-12
_SHORTEST, _LONGEST = math.log(SHORTEST_WAIT_DAYS), math.log(LONGEST_WAIT_DAYS)


class WaitRow(NamedTuple):
    """The wait after one row, the fields of `InterEventTime` as compiled code takes them."""

    excitation: FloatArray
    taus: FloatArray
    log_weights: FloatArray
    weights: FloatArray
    means: FloatArray
    precisions: FloatArray
    """(K,) 1/σ."""
    large_excitation: FloatArray
    """(S, 12); S is 0 without large events."""
    large_shape: FloatArray
    large_rate: FloatArray
    log_exponential: float
    background: float
    elapsed: float
    clock_at_row: float

    @classmethod
    def of(cls, wait: InterEventTime[FloatArray]) -> WaitRow:
        """Return the row of a single wait, ()."""
        large = (np.zeros((0, KERNELS)), np.zeros(0), np.zeros(0)) if wait.large is None else wait.large
        vectors = (wait.excitation, wait.taus, wait.log_weights, np.exp(wait.log_weights), wait.means, np.exp(-wait.log_sigmas), *large)
        scalars = (wait.log_exponential, wait.background, wait.elapsed, wait.clock_at_row)
        parts: list[Any] = [np.array(vector, order="C") for vector in vectors]
        return cls(*parts, *map(float, scalars))


@compiled
def head_outputs(state: FloatArray, net: FrozenTiming) -> FloatArray:
    """Return the outputs of the memory's head of a state, (M, 3 K + 1), as `memory_head`; before the first event the kernels are alone."""
    hidden_at = offsets_of(net)[0]
    members, size, inputs = len(net.gates_bias), net.gates_bias.shape[1] // 4, hidden_at - MEMORY
    outputs, context = np.empty(net.outer_bias.shape), np.empty(net.outer.shape[1])
    context[size : size + inputs] = state[MEMORY:hidden_at]
    for member in range(members):
        context[:size] = state[hidden_at + member * size : hidden_at + (member + 1) * size]
        units = context[size + inputs :]
        apply_layer(net.inner[member], net.inner_bias[member], context[: size + inputs], units)
        activate(units)
        apply_layer(net.outer[member], net.outer_bias[member], context, outputs[member])
        if state[COUNT] == 0.0:
            outputs[member, 0] = KERNELS_ALONE
    return outputs


@compiled
def tails_and_densities(row: WaitRow, days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ln Q(Λ) and ln of the wait's density after each of some further days, (N,) each, as `log_tail_and_density`."""
    tails, densities = np.empty(len(days)), np.empty(len(days))
    for n in range(len(days)):
        tails[n], densities[n] = _tail_and_density(row, days[n])
    return tails, densities


@compiled
def kernel_rate_ahead(row: WaitRow, days: float) -> float:
    """Return λ of the kernels alone after some further days, events per day."""
    return _kernels(row, row.elapsed + days)[1]


@compiled
def wait_quantiles(row: WaitRow, probabilities: FloatArray) -> FloatArray:
    """Return the days by which the event comes with each probability, ascending, (Q,) -> (Q,), within the shortest and longest wait."""
    quantiles, start, low = np.empty(len(probabilities)), _tail_and_density(row, 0.0)[0], _SHORTEST
    for n in range(len(probabilities)):
        low = _log_quantile(row, start, math.log(-math.log1p(-probabilities[n])), low)
        quantiles[n] = math.exp(low)
    return quantiles


# Newton's method on y = ln(−ln P(wait > t)) in u = ln t. A step that leaves the bounds, or is not half as long as the one before, gives way
# to their middle: where the bound on the mixture begins and ends the slope jumps, and Newton's steps may go round in a circle.
@compiled
def _log_quantile(row: WaitRow, start: float, target: float, low: float) -> float:
    high, moved, point = _LONGEST, math.inf, min(max(target - math.log(_kernels(row, row.elapsed)[1]), low), _LONGEST)
    for _ in range(_MOST_STEPS):
        tail, log_density = _tail_and_density(row, math.exp(point))
        hazard, following = start - tail, math.nan
        value = math.log(hazard) if hazard > 0.0 else -math.inf
        low, high = (point, high) if value < target else (low, point)
        if hazard > 0.0:
            following = point + (target - value) * hazard * math.exp(tail - log_density - point)
        if not (low < following < high and abs(following - point) < 0.5 * moved):
            following = 0.5 * (low + high)
        moved, point = abs(following - point), following
        if moved < _CONVERGED:
            break
    return point


@compiled
def _tail_and_density(row: WaitRow, days: float) -> tuple[float, float]:
    clock, rate = _kernels(row, row.elapsed + days)
    clock += row.clock_at_row + OFFSET
    log_clock = math.log(clock)
    log_tail, log_density = _mixture(row, clock, log_clock)
    bounded = min(max(log_tail, -clock - MOST_STRAY), MOST_STRAY - clock)
    return bounded, (log_density if bounded == log_tail else bounded + log_clock) - log_clock + math.log(rate)


# Λ and λ some days after the row; large events as in `LargeEvents.clock` and `LargeEvents.intensity`.
@compiled
def _kernels(row: WaitRow, since: float) -> tuple[float, float]:
    clock, rate = row.background * since, row.background
    for k in range(len(row.taus)):
        clock -= row.excitation[k] * row.taus[k] * math.expm1(-since / row.taus[k])
        rate += row.excitation[k] * math.exp(-since / row.taus[k])
    for s in range(len(row.large_shape)):
        own, expected = 0.0, 0.0
        for k in range(len(row.taus)):
            own += row.large_excitation[s, k] * math.exp(-since / row.taus[k])
            expected -= row.large_excitation[s, k] * row.taus[k] * math.expm1(-since / row.taus[k])
        clock += row.large_shape[s] * math.log1p(expected / row.large_rate[s])
        rate += row.large_shape[s] * own / (row.large_rate[s] + expected)
    return clock, rate


# ln of the mixture's tail, and of its density in ln X, at X.
@compiled
def _mixture(row: WaitRow, clock: float, log_clock: float) -> tuple[float, float]:
    exponential = row.log_exponential - clock
    tail = density = 0.0
    for k in range(len(row.means)):
        z = (log_clock - row.means[k]) * row.precisions[k]
        tail += row.weights[k] * 0.5 * math.erfc(z * _ROOT_HALF)
        density += row.weights[k] * row.precisions[k] * math.exp(-0.5 * z * z)
    log_tail = math.log(tail) if tail > _TOO_SMALL else _log_tail(row, log_clock)
    log_normal = math.log(density) if density > _TOO_SMALL else _log_density(row, log_clock)
    return compiled_log_add_exp(log_tail, exponential), compiled_log_add_exp(log_normal - _LOG_ROOT_TWO_PI, exponential + log_clock)


@compiled
def _log_tail(row: WaitRow, log_clock: float) -> float:
    total = -math.inf
    for k in range(len(row.means)):
        z = (log_clock - row.means[k]) * row.precisions[k]
        total = compiled_log_add_exp(total, row.log_weights[k] + compiled_log_normal_cdf(-z))
    return total


@compiled
def _log_density(row: WaitRow, log_clock: float) -> float:
    total = -math.inf
    for k in range(len(row.means)):
        z = (log_clock - row.means[k]) * row.precisions[k]
        total = compiled_log_add_exp(total, row.log_weights[k] - 0.5 * z * z + math.log(row.precisions[k]))
    return total

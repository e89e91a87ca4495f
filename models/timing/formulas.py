"""The formulas of the kernel and memory networks, each written once.

Training and offline scoring run them on torch tensors, the live step on float64 arrays, simulated paths on float32 tensors. What differs
between the three is passed in: the layers (each a function of its input that does its own matrix product and bias), the dropout, and the
product over the magnitude terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from models.numerics import FloatArray, as_column, exp, gelu, join_columns, library_of, log, log_softmax, sigmoid
from models.timing.inter_event_time import InterEventTime
from models.timing.large_events import LargeEvents
from models.training import bounded

EXCITATION_FLOOR_PER_DAY = 1e-4
CLOCK_FLOOR = 1e-6
KERNELS_ALONE = 50.0
"""The logit with which the exponential has all the weight: the kernels' own law, before the first event, when the memory knows nothing."""
SIGMA_RANGE = 1.5
"""ln σ of the log-normals lies within ± this."""

Layer = Callable[[Any], Any]
"""(M, R, inputs) -> (M, R, outputs) of M members."""


def mean_background(backgrounds: FloatArray) -> float:
    """Return μ of a region of which nothing is known, events per day: the geometric mean of those in training, (regions,)."""
    return math.exp(float(np.mean(np.log(backgrounds))))


def unchanged(x: Any) -> Any:
    """Return x: the dropout of a network that is not being trained."""
    return x


def magnitude_terms(excesses: Any, powers: Any) -> Any:
    """Return exp(a (m − Mc)) for each power a: (...), (A,) -> (..., A)."""
    return exp(excesses[..., None] * powers)


def log_corrections(scaled: Any, first: Layer, second: Layer, last: Layer, dropout: Layer = unchanged) -> Any:
    """Return the logarithms of the factors by which the network corrects the weights, (M, R, 12), each within ± 2.

    Args:
        scaled: (M, R, EVENT_FEATURES) scaled features.
        dropout: applied to the first hidden layer.
    """
    return bounded(last(gelu(second(dropout(gelu(first(scaled)))))))


def kernel_weights(plain: Any, corrections: Any) -> Any:
    """Return w_k = mean over members of Σ_a c_ak exp(a (m − Mc)) · exp(correction_k): the events that an event is expected to bring.

    Args:
        plain: (M, ..., 12) Σ_a c_ak exp(a (m − Mc)).
        corrections: (M, ..., 12) logarithms, from `log_corrections`.

    Returns:
        (..., 12), by kernel. The mean of the members is again one model, since λ is linear in w.
    """
    return (plain * exp(corrections)).mean(0)


def memory_inputs(rate: Any, excitation: Any, clock: Any, own: Any, is_event: Any, hours: Any = None) -> Any:
    """Return the memory's inputs at each row, before scaling, (..., inputs).

        | ln λ | ln A (12) | ln Λ(wait) | m − Mc, ln wait, ln distance | is event | sin h, sin 2h, cos h, cos 2h |

    Args:
        rate: (...) λ = μ + Σ_k A_k just after the row, events per day.
        excitation: (..., 12) A just after the row, 1/day.
        clock: (...) Λ, the number of events that was expected during the wait before the row.
        own: (..., OWN_FEATURES) as `own_features`.
        is_event: (...) 1.0, or 0.0 in a row that stands for the time before the first event.
        hours: (...) local solar time, for a memory that has it as an input; None: it has not.
    """
    library = library_of(excitation)
    parts = [
        as_column(log(rate)),
        log(excitation + EXCITATION_FLOOR_PER_DAY),
        as_column(log(clock + CLOCK_FLOOR)),
        own,
        as_column(is_event),
    ]
    if hours is not None:
        angles = as_column(hours) * (2.0 * math.pi / 24.0) * library.asarray([1.0, 2.0])
        parts += [library.sin(angles), library.cos(angles)]
    return join_columns(parts)


def memory_head(hidden: Any, scaled: Any, inner: Layer, outer: Layer, dropout: Layer = unchanged) -> Any:
    """Return the outputs of the memory's head: W' [c, gelu(W c)] with the context c = [hidden, inputs].

    Args:
        hidden: (M, R, hidden) state of the LSTM after each row.
        scaled: (M, R, inputs) scaled inputs of the row.
        dropout: applied to the inner units.

    Returns:
        (M, R, 3 K + 1) as `wait_of_outputs` takes it.
    """
    context = join_columns((hidden, scaled))
    return outer(join_columns((context, dropout(gelu(inner(context))))))


def lstm_step(gates: Any, cell: Any) -> tuple[Any, Any]:
    """Return the LSTM's hidden state and cell one row later (Hochreiter & Schmidhuber 1997, with the forget gates of Gers et al. 2000).

        c' = σ(f) c + σ(i) tanh(g)            h' = σ(o) tanh(c')

    Args:
        gates: (..., 4 hidden) W [inputs, h] + b, in torch's order i | f | g | o.
        cell: (..., hidden) c.
    """
    size, tanh = gates.shape[-1] // 4, library_of(gates).tanh
    enter, forget, content, leave = (gates[..., gate * size : (gate + 1) * size] for gate in range(4))
    following = sigmoid(forget) * cell + sigmoid(enter) * tanh(content)
    return sigmoid(leave) * tanh(following), following


def wait_of_outputs(
    outputs: Any, excitation: Any, background: Any, taus: Any, large: LargeEvents | None = None, clock_at_row: Any = 0.0
) -> InterEventTime[Any]:
    """Return the wait whose mixture is the mean of the members' mixtures (a mean of mixtures is a mixture).

    Args:
        outputs: (M, ..., 3 K + 1) of the head: K + 1 weights (the exponential's first), K means and K spreads.
        excitation: (..., 12) just after the last event, 1/day.
        background: (...) μ, events per day.
        taus: (12,) days.
        large: (...) the large events, which the excitation then leaves out.
        clock_at_row: as in `InterEventTime`.
    """
    components = outputs.shape[-1] // 3
    log_weights = log_softmax(outputs[..., : components + 1]) - math.log(outputs.shape[0])
    exponentials = log_weights[..., 0]
    numpy = library_of(outputs) is np
    exponential = np.logaddexp.reduce(exponentials, 0) if numpy else library_of(outputs).logsumexp(exponentials, 0)
    log_sigmas = bounded(outputs[..., 2 * components + 1 :], SIGMA_RANGE)
    means = outputs[..., components + 1 : 2 * components + 1]
    weights, means, sigmas = (_join_members(part) for part in (log_weights[..., 1:], means, log_sigmas))
    return InterEventTime(excitation, background, taus, exponential, weights, means, sigmas, large=large, clock_at_row=clock_at_row)


def _join_members(part: Any) -> Any:
    """Join the components of all members: (M, ..., K) -> (..., M K)."""
    moved = library_of(part).moveaxis(part, 0, -2)
    return moved.reshape(*moved.shape[:-2], -1)

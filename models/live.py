"""The trained network at one step, in numpy: the formulas of `EventLstm.step` and `head` without torch's cost per call.

Products are `einsum` sums, not BLAS: their order, so their last bits, does not hang on how many threads BLAS was given.
A test holds that the numbers are torch's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit  # type: ignore[import-untyped, unused-ignore]

from models.lstm import INPUT_LIMIT, EventLstm

Vector = NDArray[np.float64]


class LiveNetwork:
    """A frozen copy of an `EventLstm`'s weights, float64."""

    def __init__(self, network: EventLstm) -> None:
        weights = {name: value.detach().double().numpy().copy() for name, value in network.state_dict().items()}
        self._mean, self._scale = weights["input_mean"], weights["input_scale"]
        self._gates = np.concatenate((weights["memory.weight_ih_l0"], weights["memory.weight_hh_l0"]), axis=1)
        self._gates_bias = weights["memory.bias_ih_l0"] + weights["memory.bias_hh_l0"]
        self._inner, self._inner_bias = weights["inner.weight"], weights["inner.bias"]
        self._outer, self._outer_bias = weights["outer.weight"], weights["outer.bias"]
        self._hidden = network.architecture.hidden

    def step(self, raw: Vector, hidden: Vector, cell: Vector) -> tuple[Vector, Vector]:
        """One event: (inputs,), (hidden,), (hidden,) -> the next hidden and cell (Hochreiter & Schmidhuber 1997, with forget gates)."""
        gates = _product(self._gates, np.concatenate((self._scaled(raw), hidden))) + self._gates_bias  # (4 hidden,)
        size = self._hidden
        opened = expit(gates)  # input, forget, –, output
        following = opened[size : 2 * size] * cell + opened[:size] * np.tanh(gates[2 * size : 3 * size])
        return opened[3 * size :] * np.tanh(following), following

    def head(self, raw: Vector, hidden: Vector) -> Vector:
        """(inputs,), (hidden,) -> (outputs,)."""
        context = np.concatenate((hidden, self._scaled(raw)))
        inner = np.tanh(_product(self._inner, context) + self._inner_bias)
        outputs: Vector = _product(self._outer, np.concatenate((context, inner))) + self._outer_bias
        return outputs

    def _scaled(self, raw: Vector) -> Vector:
        scaled: Vector = np.minimum(np.maximum((raw - self._mean) * self._scale, -INPUT_LIMIT), INPUT_LIMIT)
        return scaled


def _product(matrix: Vector, vector: Vector) -> Vector:
    product: Vector = np.einsum("ij,j->i", matrix, vector)
    return product

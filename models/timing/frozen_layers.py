"""Layers of a trained network as numpy functions, float64."""

from __future__ import annotations

from functools import partial

import numpy as np

from models.numerics import FloatArray


def _apply(weight: FloatArray, bias: FloatArray, x: FloatArray) -> FloatArray:
    """Apply each member's layer: (M, outputs, inputs), (M, outputs), (M, inputs) -> (M, outputs)."""
    product: FloatArray = np.einsum("moi,mi->mo", weight, x) + bias
    return product


def layer_of(weights: dict[str, FloatArray], name: str) -> partial[FloatArray]:
    """Return a `MemberLinear` of the network as a function of its input; the inputs are the last axis, which einsum sums fastest."""
    return partial(_apply, np.ascontiguousarray(weights[f"{name}.weight"].transpose(0, 2, 1)), weights[f"{name}.bias"][:, 0])


def gates_of(weights: dict[str, FloatArray], member: int) -> tuple[FloatArray, FloatArray]:
    """Return one member's weights of the LSTM's gates, (4 hidden, inputs + hidden), and their bias, (4 hidden,)."""
    of_inputs, of_hidden, bias, more_bias = (
        weights[f"memory.layers.{member}.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return np.concatenate((of_inputs, of_hidden), axis=1), bias + more_bias

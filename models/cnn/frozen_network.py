"""A trained `MapNetwork` as a compiled function: float64, on one thread, every sum in one order, without torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.cnn.architecture import MapArchitecture
from models.numerics import FloatArray, IntArray, Trained, apply_layer, compiled, compiled_bounded, compiled_gelu
from models.training import INPUT_LIMIT, LARGEST_LOG_FACTOR


class FrozenMapNetwork(NamedTuple):
    """The weights of a `MapNetwork`; a convolution is (3, 3, inputs, outputs), a layer (inputs, outputs)."""

    mean: FloatArray
    scale: FloatArray
    first: FloatArray
    first_bias: FloatArray
    inner: FloatArray
    """(layers − 1, 3, 3, width, width)"""
    inner_bias: FloatArray
    dilations: IntArray
    """(layers − 1,)"""
    context: FloatArray
    context_bias: FloatArray
    cells: FloatArray
    cells_bias: FloatArray
    everywhere: FloatArray
    everywhere_bias: FloatArray
    ages_days: FloatArray
    """(bands − 1,) as in `Factors`."""
    side: int


def freeze_maps(trained: Trained[MapArchitecture]) -> FrozenMapNetwork:
    """Copy the weights of a network."""
    architecture, weights = trained

    def convolution(name: str) -> tuple[FloatArray, FloatArray]:
        return np.ascontiguousarray(weights[f"{name}.weight"].transpose(2, 3, 1, 0)), weights[f"{name}.bias"]

    def linear(name: str) -> tuple[FloatArray, FloatArray]:
        bias = weights[f"{name}.bias"]
        return np.ascontiguousarray(weights[f"{name}.weight"].reshape(len(bias), -1).T), bias

    width, dilations = architecture.width, np.array(architecture.dilations, np.int64)
    inner = [convolution(f"inner.{number}") for number in range(len(dilations))]
    return FrozenMapNetwork(
        weights["scaler.mean"], weights["scaler.scale"], *convolution("first"),
        np.array([weight for weight, _ in inner]).reshape(-1, 3, 3, width, width), np.array([bias for _, bias in inner]).reshape(-1, width),
        dilations, *linear("context"), *linear("cells"), *linear("everywhere"), np.array(architecture.ages_days), architecture.side,
    )  # fmt: skip


@compiled
def log_factors(channels: FloatArray, net: FrozenMapNetwork) -> tuple[FloatArray, float]:
    """Return ln f of the cells and ln φ, as `MapNetwork.forward` for one map: (CHANNELS, cells) -> (groups, cells), ()."""
    side, width, groups = net.side, len(net.first_bias), len(net.cells_bias)
    hidden, added = np.empty((side, side, width)), np.empty((side, side, width))
    nothing, context, factors = np.zeros(width), np.empty(width), np.empty((groups, side * side))
    _convolve(_scaled(channels, net), net.first, net.first_bias, nothing, 1, hidden)
    apply_layer(net.context, net.context_bias, _mean(hidden), context)
    for n in range(len(net.dilations)):
        _convolve(hidden, net.inner[n], net.inner_bias[n], context if n == 0 else nothing, net.dilations[n], added)
        hidden += added
    outputs = np.empty(groups)
    for cell in range(side * side):
        apply_layer(net.cells, net.cells_bias, hidden[cell // side, cell % side], outputs)
        for group in range(groups):
            factors[group, cell] = compiled_bounded(outputs[group], LARGEST_LOG_FACTOR)
    everywhere = np.empty(1)
    apply_layer(net.everywhere, net.everywhere_bias, _mean(hidden), everywhere)
    return factors, compiled_bounded(everywhere[0], LARGEST_LOG_FACTOR)


@compiled
def _scaled(channels: FloatArray, net: FrozenMapNetwork) -> FloatArray:
    scaled = np.empty((net.side, net.side, len(channels)))
    for n in range(len(channels)):
        for cell in range(net.side * net.side):
            value = (channels[n, cell] - net.mean[n]) * net.scale[n]
            scaled[cell // net.side, cell % net.side, n] = min(max(value, -INPUT_LIMIT), INPUT_LIMIT)
    return scaled


@compiled
def _mean(hidden: FloatArray) -> FloatArray:
    mean, side = np.zeros(hidden.shape[2]), len(hidden)
    for row in range(side):
        for column in range(side):
            mean += hidden[row, column]
    return mean / (side * side)


# GELU of a convolution of 3 × 3 cells, some cells apart, with zeros around the map; `context` is added to each cell. Four inputs at a time
# are added to the outputs, one after the other.
@compiled
def _convolve(maps: FloatArray, weight: FloatArray, bias: FloatArray, context: FloatArray, dilation: int, out: FloatArray) -> None:
    side, inputs = len(maps), maps.shape[2]
    for row in range(side):
        for column in range(side):
            sums = out[row, column]
            for o in range(len(sums)):
                sums[o] = bias[o] + context[o]
            for tap in range(9):
                r, c = row + (tap // 3 - 1) * dilation, column + (tap % 3 - 1) * dilation
                if 0 <= r < side and 0 <= c < side:
                    _add_products(weight[tap // 3, tap % 3], maps[r, c], inputs, sums)
            for o in range(len(sums)):
                sums[o] = compiled_gelu(sums[o])


@compiled
def _add_products(weight: FloatArray, x: FloatArray, inputs: int, sums: FloatArray) -> None:
    whole = inputs - inputs % 4
    for i in range(0, whole, 4):
        w0, w1, w2, w3, x0, x1, x2, x3 = weight[i], weight[i + 1], weight[i + 2], weight[i + 3], x[i], x[i + 1], x[i + 2], x[i + 3]
        for o in range(len(sums)):
            sums[o] = sums[o] + w0[o] * x0 + w1[o] * x1 + w2[o] * x2 + w3[o] * x3
    for i in range(whole, inputs):
        for o in range(len(sums)):
            sums[o] += weight[i, o] * x[i]

"""The weights of a trained `TimingNetwork` as compiled code takes them: float64, a row for each input, the members first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.numerics import FloatArray, NamedWeights, Trained
from models.timing.architecture import Architecture
from models.timing.excitation import KERNELS


class FrozenTiming(NamedTuple):
    """Weights (members, inputs, outputs) and biases (members, outputs); what a network has not is of size 0, and its flag is False."""

    productivity: FloatArray
    """(M, a, 12) c."""
    kernel_mean: FloatArray
    kernel_scale: FloatArray
    first: FloatArray
    first_bias: FloatArray
    second: FloatArray
    second_bias: FloatArray
    last: FloatArray
    last_bias: FloatArray
    memory_mean: FloatArray
    memory_scale: FloatArray
    gates: FloatArray
    """(M, inputs + hidden, 4 hidden) of the LSTM, in torch's order i | f | g | o."""
    gates_bias: FloatArray
    inner: FloatArray
    inner_bias: FloatArray
    outer: FloatArray
    outer_bias: FloatArray
    source_productivity: FloatArray
    """(a, 12) c' of sources, the members' mean."""
    large_log_factors: FloatArray
    large_log_shape: FloatArray
    large_correction: FloatArray
    """(1,)"""
    reach: int
    source_depth: float
    """0: no sources are read."""
    has_large: bool
    """Whether the productivity of large events is a distribution."""
    has_hours: bool
    """Whether the local solar time is among the memory's inputs."""


def freeze_timing(trained: Trained[Architecture]) -> FrozenTiming:
    """Copy the weights of a network."""
    architecture, weights = trained

    def layer(name: str) -> tuple[FloatArray, FloatArray]:
        return np.ascontiguousarray(weights[f"{name}.weight"]), np.ascontiguousarray(weights[f"{name}.bias"][:, 0])

    def large(name: str, *shape: int) -> FloatArray:
        return weights[f"kernels.{name}"].reshape(shape).copy() if architecture.large_events else np.zeros(shape)

    return FrozenTiming(
        np.exp(weights["kernels.log_productivity"]),
        weights["kernels.scaler.mean"].copy(), weights["kernels.scaler.scale"].copy(),
        *layer("kernels.first"), *layer("kernels.second"), *layer("kernels.last"),
        weights["memory.scaler.mean"].copy(), weights["memory.scaler.scale"].copy(),
        *_gates(weights, architecture.memory_members), *layer("memory.inner"), *layer("memory.outer"),
        np.exp(weights["kernels.log_source_productivity"]).mean(0) if architecture.source_depth else np.zeros((0, KERNELS)),
        large("large_log_factors", 2, KERNELS), large("large_log_shape", 2), large("large_correction", 1),
        architecture.reach, architecture.source_depth, architecture.large_events, architecture.hours,
    )  # fmt: skip


def _gates(weights: NamedWeights, members: int) -> tuple[FloatArray, FloatArray]:
    """Return the members' weights of the LSTM's gates, (M, inputs + hidden, 4 hidden), and the sums of their two biases, (M, 4 hidden)."""

    def of(member: int, name: str) -> FloatArray:
        return weights[f"memory.layers.{member}.{name}_l0"]

    gates = [np.concatenate((of(member, "weight_ih"), of(member, "weight_hh")), 1).T for member in range(members)]
    return np.ascontiguousarray(np.stack(gates)), np.stack([of(member, "bias_ih") + of(member, "bias_hh") for member in range(members)])

"""The weights of a trained network by their names, as numpy arrays: what a network is for whoever uses it without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from models.numerics.arrays import FloatArray

Shapes = dict[str, tuple[int, ...]]
"""Of a network's weights, by name."""
Sizes = TypeVar("Sizes")


class NamedWeights:
    """Arrays by name, float64.

    Args:
        arrays: of any floating type.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = {name: np.array(array, np.float64) for name, array in arrays.items()}

    @classmethod
    def of(cls, network: Any) -> NamedWeights:
        """Return a copy of a torch module's weights."""
        return cls({name: value.detach().double().numpy() for name, value in network.state_dict().items()})

    def __getitem__(self, name: str) -> FloatArray:
        return self._arrays[name]

    @property
    def arrays(self) -> Mapping[str, FloatArray]:
        """All arrays by name."""
        return self._arrays

    @property
    def shapes(self) -> Shapes:
        """The shapes of all arrays."""
        return {name: array.shape for name, array in self._arrays.items()}

    def part(self, prefix: str) -> NamedWeights:
        """Return those whose names begin with `prefix` and a dot, without both."""
        start = f"{prefix}."
        return NamedWeights({name.removeprefix(start): array for name, array in self._arrays.items() if name.startswith(start)})


class Trained(NamedTuple, Generic[Sizes]):
    """A trained network: its sizes and its weights."""

    architecture: Sizes
    weights: NamedWeights

    @classmethod
    def of(cls, network: Any) -> Trained[Any]:
        """Return a copy of a torch module's, which knows its `architecture`."""
        return Trained(network.architecture, NamedWeights.of(network))


def linear_shapes(name: str, inputs: int, outputs: int, *kernel: int) -> Shapes:
    """Return the shapes of a linear layer's weights; of a convolution's with the sides of its kernel."""
    return {f"{name}.weight": (outputs, inputs, *kernel), f"{name}.bias": (outputs,)}


def member_linear_shapes(name: str, members: int, inputs: int, outputs: int) -> Shapes:
    """Return the shapes of the weights of a linear layer for each of M members."""
    return {f"{name}.weight": (members, inputs, outputs), f"{name}.bias": (members, 1, outputs)}


def scaler_shapes(name: str, inputs: int) -> Shapes:
    """Return the shapes of the mean and the scale by which inputs are standardised."""
    return {f"{name}.mean": (inputs,), f"{name}.scale": (inputs,)}


def shapes_within(prefix: str, shapes: Shapes) -> Shapes:
    """Return the shapes of a network that is a part of another."""
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}

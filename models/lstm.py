"""The network: one LSTM layer over a region's events, its head joined by a skip from the inputs.

After each event the head gives the parameters of the two distributions (`models.distributions`): of the wait until the next
event, and of its magnitude. Offline the layer runs over whole sequences, online by single steps; both give the same numbers.
The head's means of ln(wait) are added to the region's own mean ln(wait), so that the same sequence at another pace
starts from the same forecast at that pace.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from models import features
from models.distributions import MagnitudeDistribution, WaitDistribution

LARGEST_MAGNITUDE = 9.6
"""Just above the largest earthquake recorded (M 9.5, Chile 1960)."""
_RATE_SHIFTS = (-0.35, 0.0, 0.5)
_SHIFTS = np.array(_RATE_SHIFTS)
_RATE_RANGE = 0.7
_SIGMA_RANGE = 1.5
INPUT_LIMIT = 6.0


class Architecture(msgspec.Struct, frozen=True):
    """The sizes of the network."""

    hidden: int = 32
    head: int = 64
    components: int = 8
    """Log-normal components of the wait."""
    inputs: int = features.INPUTS
    exponentials: int = len(_RATE_SHIFTS)

    @property
    def outputs(self) -> int:
        return 3 * self.components + 2 * self.exponentials


class EventLstm(nn.Module):
    """Features after each event -> parameters of the next wait and magnitude."""

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    gutenberg_richter_rate: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("input_mean", torch.zeros(architecture.inputs))
        self.register_buffer("input_scale", torch.ones(architecture.inputs))
        self.register_buffer("gutenberg_richter_rate", torch.tensor(math.log(10.0)))
        self.memory = nn.LSTM(architecture.inputs, architecture.hidden, batch_first=True)
        context = architecture.hidden + architecture.inputs
        self.inner = nn.Linear(context, architecture.head)
        self.outer = nn.Linear(context + architecture.head, architecture.outputs)
        with torch.no_grad():
            self.outer.weight.mul_(0.1)
            self.outer.bias.zero_()
            self.outer.bias[architecture.components : 2 * architecture.components] = torch.linspace(-4.0, 2.5, architecture.components)

    def scaled(self, raw: torch.Tensor) -> torch.Tensor:
        """Inputs in units of their spread over the training span, (..., inputs); far ones are held at the limit."""
        return ((raw - self.input_mean) * self.input_scale).clamp(-INPUT_LIMIT, INPUT_LIMIT)

    def head(self, hidden: torch.Tensor, scaled: torch.Tensor) -> torch.Tensor:
        """(..., hidden), (..., inputs) -> (..., outputs)."""
        context = torch.cat((hidden, scaled), -1)
        return self.outer(torch.cat((context, torch.tanh(self.inner(context))), -1))  # type: ignore[no-any-return]

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """A sequence from its beginning: (B, T, inputs) -> (B, T, outputs)."""
        scaled = self.scaled(raw)
        hidden, _ = self.memory(scaled)  # (B, T, hidden)
        return self.head(hidden, scaled)

    def step(self, raw: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """One event: (1, inputs), two of (1, hidden) -> two of (1, hidden)."""
        layer = self.memory
        weights: Any = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
        hidden, cell = torch.lstm_cell(self.scaled(raw), state, *weights)
        return hidden, cell

    def wait(self, outputs: Any, centre: Any) -> WaitDistribution[Any]:
        """The wait's distribution; `centre` (...) is the region's mean ln(wait in days)."""
        return wait_of(outputs, centre, self.architecture.components)

    def magnitude(self, outputs: Any, magnitude_of_completeness: Any) -> MagnitudeDistribution[Any]:
        """The excess's distribution around the Gutenberg–Richter rate of the training span."""
        return magnitude_of(outputs, magnitude_of_completeness, float(self.gutenberg_richter_rate))


def wait_of(outputs: Any, centre: Any, components: int) -> WaitDistribution[Any]:
    """(..., outputs) of torch or numpy, whose first 3 K are the wait's -> its distribution."""
    log_sigmas = _SIGMA_RANGE * _tanh(outputs[..., 2 * components : 3 * components] / _SIGMA_RANGE)
    means = outputs[..., components : 2 * components] + centre[..., None]
    return WaitDistribution(_log_softmax(outputs[..., :components]), means, log_sigmas)


def magnitude_of(outputs: Any, magnitude_of_completeness: Any, rate: float) -> MagnitudeDistribution[Any]:
    """(..., outputs) of torch or numpy, whose last six are the magnitude's -> its distribution."""
    count = len(_RATE_SHIFTS)
    shifts = outputs.new_tensor(_RATE_SHIFTS) if isinstance(outputs, torch.Tensor) else _SHIFTS
    log_rates = math.log(rate) + shifts + _RATE_RANGE * _tanh(outputs[..., -count:])
    log_weights = _log_softmax(outputs[..., -2 * count : -count])
    return MagnitudeDistribution(log_weights, log_rates, rate, LARGEST_MAGNITUDE - magnitude_of_completeness)


def _tanh(x: Any) -> Any:
    return torch.tanh(x) if isinstance(x, torch.Tensor) else np.tanh(x)


def _log_softmax(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return torch.log_softmax(x, -1)
    shifted = x - x.max(-1)[..., None]
    return shifted - np.log(np.exp(shifted).sum(-1))[..., None]

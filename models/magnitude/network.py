"""p(m | moment, place, past): a small network that returns the slope of Gutenberg–Richter's law, and which small events are missed.

    features (INPUTS) ─ scaled, clamped ─ GELU 32 ─ + GELU 32 ─ │ ln β/β₀ │ μ │ ln σ/σ₀ │ ln ε/ε₀ │ ─> models.magnitude.distribution

β₀ is the rate of the training span's events well above completeness (Aki 1965, Bull. Earthq. Res. Inst. 43, 237–239; half a rounding bin
added after Utsu 1966). The last layer's weights start at zero: training begins at the same distribution for every event. The network can
be evaluated without a place, too (the features near the place are NaN): in training the places of some rows are left out.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from models.catalog import LARGEST_MAGNITUDE
from models.magnitude.architecture import HIDDEN, MAGNITUDE_INPUT_LIMIT
from models.magnitude.distribution import OUTPUTS, DetectedMagnitude
from models.magnitude.features import INPUTS, INPUTS_WITHOUT_PLACE
from models.numerics import FloatArray


class MagnitudeNetwork(nn.Module):
    """From the features of a moment and a place to the distribution of an event's excess there."""

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    gutenberg_richter_rate: torch.Tensor

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(INPUTS, dtype=torch.float64))
        self.register_buffer("input_scale", torch.ones(INPUTS, dtype=torch.float64))
        self.register_buffer("gutenberg_richter_rate", torch.tensor(math.log(10.0), dtype=torch.float64))
        self.first = nn.Linear(INPUTS + 1, hidden, dtype=torch.float64)
        self.second = nn.Linear(hidden, hidden, dtype=torch.float64)
        self.last = nn.Linear(hidden, OUTPUTS, dtype=torch.float64)
        self.dropout = nn.Dropout(0.0)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """Standardise features: (..., INPUTS) -> (..., INPUTS + 1).

        NaN becomes 0. The last column is 1 where the place is not known, else 0.
        """
        scaled = ((features - self.input_mean) * self.input_scale).clamp(-MAGNITUDE_INPUT_LIMIT, MAGNITUDE_INPUT_LIMIT)
        unknown = torch.isnan(scaled)
        return torch.cat((scaled.masked_fill(unknown, 0.0), unknown[..., INPUTS_WITHOUT_PLACE, None].to(scaled.dtype)), -1)

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return the outputs, (..., OUTPUTS), for the inputs that `scaled` returns, (..., INPUTS + 1)."""
        hidden = self.dropout(nn.functional.gelu(self.first(self.dropout(scaled))))
        hidden = self.dropout(hidden + nn.functional.gelu(self.second(hidden)))
        return self.last(hidden)  # type: ignore[no-any-return]

    def of_outputs(self, outputs: torch.Tensor, magnitude_of_completeness: torch.Tensor | float) -> DetectedMagnitude[torch.Tensor]:
        """Return the distributions for outputs (..., OUTPUTS); the completeness is (...) or a number."""
        rate = float(self.gutenberg_richter_rate)
        return DetectedMagnitude.of_outputs(outputs, rate, LARGEST_MAGNITUDE - magnitude_of_completeness)

    @torch.no_grad()
    def distribution(self, features: FloatArray, magnitude_of_completeness: FloatArray | float) -> DetectedMagnitude[FloatArray]:
        """Return the distribution of the excess m − Mc + half a rounding bin, of numpy arrays (...).

        Args:
            features: (..., INPUTS) of `models.magnitude.features`; NaN near the place: the place is not known.
            magnitude_of_completeness: (...) or a number.
        """
        tensors = self.of_outputs(self(self.scaled(torch.from_numpy(features))), 0.0)
        parts = (tensors.log_rate.numpy(), tensors.middle.numpy(), tensors.log_sigma.numpy(), tensors.log_complete.numpy())
        return DetectedMagnitude(*parts, tensors.tail_rate, LARGEST_MAGNITUDE - magnitude_of_completeness)

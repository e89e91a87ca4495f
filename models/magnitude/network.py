"""p(m | moment, place, past): a small network that says how steep Gutenberg–Richter's law is here and now, and which events are missed.

    features (INPUTS) ─ scaled, clamped ─ GELU 32 ─ + GELU 32 ─ │ ln β/β₀ │ μ │ ln σ/σ₀ │ ln ε/ε₀ │ ─> models.magnitude.distribution

β₀ is the rate of the training span's events well above completeness (Aki 1965, Bull. Earthq. Res. Inst. 43, 237–239; half a rounding bin
added after Utsu 1966). The last layer's weights start at zero, so that training begins at a stationary law. Where the place is not known
(the features of the place are NaN), the same network answers from the rest: in training a part of the rows is shown without their places.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from models.catalog import LARGEST_MAGNITUDE
from models.magnitude.distribution import OUTPUTS, DetectedMagnitude
from models.magnitude.features import INPUTS, PLACELESS
from models.numerics import FloatArray

HIDDEN = 32
MAGNITUDE_INPUT_LIMIT = 5.0


class MagnitudeNetwork(nn.Module):
    """Features of a moment and place -> the distribution of an event's excess there."""

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
        """(..., INPUTS) -> (..., INPUTS + 1): in units of their spread over the training span, zero where NaN; last: 1 without a place."""
        scaled = ((features - self.input_mean) * self.input_scale).clamp(-MAGNITUDE_INPUT_LIMIT, MAGNITUDE_INPUT_LIMIT)
        unknown = torch.isnan(scaled)
        return torch.cat((scaled.masked_fill(unknown, 0.0), unknown[..., PLACELESS, None].to(scaled.dtype)), -1)

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        """(..., INPUTS + 1) as `scaled` gives them -> (..., OUTPUTS)."""
        hidden = self.dropout(nn.functional.gelu(self.first(self.dropout(scaled))))
        hidden = self.dropout(hidden + nn.functional.gelu(self.second(hidden)))
        return self.last(hidden)  # type: ignore[no-any-return]

    def of_outputs(self, outputs: torch.Tensor, magnitude_of_completeness: torch.Tensor | float) -> DetectedMagnitude[torch.Tensor]:
        """(..., OUTPUTS), (...) or a number -> a distribution of shape (...)."""
        rate = float(self.gutenberg_richter_rate)
        return DetectedMagnitude.of_outputs(outputs, rate, LARGEST_MAGNITUDE - magnitude_of_completeness)

    @torch.no_grad()
    def distribution(self, features: FloatArray, magnitude_of_completeness: FloatArray | float) -> DetectedMagnitude[FloatArray]:
        """Of the excess m − Mc + half a rounding bin, in numpy.

        Args:
            features: (..., INPUTS) as `models.magnitude.features` gives them; NaN in their local part: anywhere.
            magnitude_of_completeness: (...) or a number.
        """
        found = self.of_outputs(self(self.scaled(torch.from_numpy(features))), 0.0)
        parts = (found.log_rate.numpy(), found.middle.numpy(), found.log_sigma.numpy(), found.log_complete.numpy())
        return DetectedMagnitude(*parts, found.tail_rate, LARGEST_MAGNITUDE - magnitude_of_completeness)

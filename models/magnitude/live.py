"""The magnitude of the next event in the stream: `MagnitudeNetwork` evaluated with numpy, without torch's cost per call.

Neither the moment nor the place of the next event is known. The columns near a place are left out, which the network has learned to do
without. Several moments may be given, and their distributions are averaged; the forecaster gives the median of the inter-event time.
A test compares the numbers with torch's.
"""

from __future__ import annotations

import numpy as np

from models.catalog import LARGEST_MAGNITUDE
from models.magnitude.background import BackgroundTail
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.features import INPUTS_WITHOUT_PLACE, magnitude_features_at
from models.magnitude.network import MAGNITUDE_INPUT_LIMIT, MagnitudeNetwork
from models.numerics import FloatArray, gelu

_EXCESSES = np.concatenate((np.linspace(0.0, 1.5, 31), np.linspace(1.6, 3.0, 15), np.linspace(3.25, 8.0, 20)))


class LiveMagnitude:
    """A frozen copy of a `MagnitudeNetwork`'s weights, float64."""

    def __init__(self, network: MagnitudeNetwork, reach: int) -> None:
        weights = {name: value.detach().double().numpy().copy() for name, value in network.state_dict().items()}
        self.reach = reach
        self._mean, self._scale = weights["input_mean"][:INPUTS_WITHOUT_PLACE], weights["input_scale"][:INPUTS_WITHOUT_PLACE]
        self._rate = float(network.gutenberg_richter_rate)
        first = weights["first.weight"]  # without a place: the inputs near it are 0, the flag in the last column is 1
        self._first, self._first_bias = first[:, :INPUTS_WITHOUT_PLACE].copy(), weights["first.bias"] + first[:, -1]
        self._second, self._second_bias = weights["second.weight"], weights["second.bias"]
        self._last, self._last_bias = weights["last.weight"], weights["last.bias"]

    def distribution(
        self, lags_days: FloatArray, excesses: FloatArray, ahead_days: FloatArray, magnitude_of_completeness: float
    ) -> DetectedMagnitude[FloatArray]:
        """Return the distributions of the excess at A moments, (A,).

        Args:
            lags_days: (R,) time since each of the last events, the newest last.
            excesses: (R,) their magnitudes above completeness.
            ahead_days: (A,) the moments, counted from now.
        """
        days, nowhere = -lags_days, np.zeros((len(lags_days), 3))
        rows = [
            magnitude_features_at(days, nowhere, excesses, float(ahead), None, self.reach)[:INPUTS_WITHOUT_PLACE] for ahead in ahead_days
        ]
        scaled = np.clip((np.stack(rows) - self._mean) * self._scale, -MAGNITUDE_INPUT_LIMIT, MAGNITUDE_INPUT_LIMIT)
        return self._distribution_of(scaled, magnitude_of_completeness)

    def average(self, magnitude_of_completeness: float) -> DetectedMagnitude[FloatArray]:
        """Return the distribution of the excess at the average inputs of the training, (1,)."""
        return self._distribution_of(np.zeros((1, INPUTS_WITHOUT_PLACE)), magnitude_of_completeness)

    def _distribution_of(self, scaled: FloatArray, magnitude_of_completeness: float) -> DetectedMagnitude[FloatArray]:
        """Return the distributions for scaled inputs, (A, INPUTS_WITHOUT_PLACE) -> (A,)."""
        hidden = gelu(np.einsum("oi,ai->ao", self._first, scaled) + self._first_bias)
        hidden = hidden + gelu(np.einsum("oi,ai->ao", self._second, hidden) + self._second_bias)
        outputs = np.einsum("oi,ai->ao", self._last, hidden) + self._last_bias
        return DetectedMagnitude.of_outputs(outputs, self._rate, LARGEST_MAGNITUDE - magnitude_of_completeness)


def quantiles_and_survival(
    distribution: DetectedMagnitude[FloatArray],
    probabilities: FloatArray,
    excesses: FloatArray,
    tail: BackgroundTail | None = None,
    background_share: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Average the distributions of A moments, (A,), and return quantiles and probabilities of the mean.

    The quantiles are interpolated linearly in ln P(x ≥ excess) between the excesses of a fixed grid.

    Args:
        probabilities: (Q,)
        excesses: (E,)
        tail: of background events; the first of its magnitudes must be among the excesses. None: they have the same distribution.
        background_share: the probability that the event is background.

    Returns:
        (Q,) excesses that are not exceeded with the given probabilities, and (E,) P(x ≥ excess).
    """
    evaluated = np.concatenate((_EXCESSES, excesses))
    survival = distribution.survival(evaluated[:, None]).mean(1)
    if tail is not None:
        survival = (1.0 - background_share) * survival + background_share * tail.survival(evaluated, survival)
    log_survival = np.log(np.maximum(survival[: len(_EXCESSES)], 1e-300))
    return np.interp(-np.log1p(-probabilities), -log_survival, _EXCESSES), survival[len(_EXCESSES) :]

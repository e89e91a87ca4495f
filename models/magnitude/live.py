"""The magnitude of the next event in the stream: `MagnitudeNetwork` in compiled functions, without torch's cost per call.

Neither the moment nor the place of the next event is known. The columns near a place are left out, which the network has learned to do
without. Several moments may be given, and their distributions are averaged; the forecaster gives the median of the inter-event time.
A test compares the numbers with torch's.
"""

from __future__ import annotations

import numpy as np

from models.catalog import LARGEST_MAGNITUDE
from models.magnitude.background import BackgroundTail
from models.magnitude.compiled_live import FrozenMagnitude, inputs_at, outputs_of, survivals
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.features import INPUTS_WITHOUT_PLACE
from models.numerics import FloatArray, NamedWeights

_EXCESSES = np.concatenate((np.linspace(0.0, 1.5, 31), np.linspace(1.6, 3.0, 15), np.linspace(3.25, 8.0, 20)))


class LiveMagnitude:
    """A trained `MagnitudeNetwork` without torch, float64.

    Args:
        reach: how many past events it reads.
    """

    def __init__(self, weights: NamedWeights, reach: int) -> None:
        self.reach, self._rate = reach, float(weights["gutenberg_richter_rate"])
        first = weights["first.weight"].T  # without a place: the inputs near it are 0, the flag in the last row is 1
        self._net = FrozenMagnitude(
            weights["input_mean"][:INPUTS_WITHOUT_PLACE].copy(), weights["input_scale"][:INPUTS_WITHOUT_PLACE].copy(),
            np.ascontiguousarray(first[:INPUTS_WITHOUT_PLACE]), weights["first.bias"] + first[-1],
            np.ascontiguousarray(weights["second.weight"].T), weights["second.bias"],
            np.ascontiguousarray(weights["last.weight"].T), weights["last.bias"],
        )  # fmt: skip

    def distribution(
        self, lags_days: FloatArray, excesses: FloatArray, ahead_days: FloatArray, magnitude_of_completeness: float
    ) -> DetectedMagnitude[FloatArray]:
        """Return the distributions of the excess at A moments, (A,).

        Args:
            lags_days: (R,) time since each of the last events, the newest last.
            excesses: (R,) their magnitudes above completeness.
            ahead_days: (A,) the moments, counted from now.
        """
        inputs = inputs_at(lags_days.copy(), excesses.copy(), ahead_days.copy(), self.reach)
        return self._distribution_of(inputs, magnitude_of_completeness)

    def average(self, magnitude_of_completeness: float) -> DetectedMagnitude[FloatArray]:
        """Return the distribution of the excess at the average inputs of the training, (1,)."""
        return self._distribution_of(self._net.mean[None].copy(), magnitude_of_completeness)

    def _distribution_of(self, inputs: FloatArray, magnitude_of_completeness: float) -> DetectedMagnitude[FloatArray]:
        """Return the distributions for inputs, (A, INPUTS_WITHOUT_PLACE) -> (A,)."""
        upper = LARGEST_MAGNITUDE - magnitude_of_completeness
        return DetectedMagnitude.of_outputs(outputs_of(inputs, self._net), self._rate, upper)


def survival_at_each(law: DetectedMagnitude[FloatArray], excesses: FloatArray) -> FloatArray:
    """Return P(x ≥ excess) for every pair of a law, (A,), and an excess, (E,): `DetectedMagnitude.survival_at_each`, compiled."""
    parts = (law.log_rate, law.middle, law.log_sigma, law.log_complete)
    survival: FloatArray = survivals(*parts, law.tail_rate, float(law.upper), excesses)
    return survival


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
    survival = survival_at_each(distribution, evaluated).mean(0)
    if tail is not None:
        survival = (1.0 - background_share) * survival + background_share * tail.survival(evaluated, survival)
    log_survival = np.log(np.maximum(survival[: len(_EXCESSES)], 1e-300))
    return np.interp(-np.log1p(-probabilities), -log_survival, _EXCESSES), survival[len(_EXCESSES) :]

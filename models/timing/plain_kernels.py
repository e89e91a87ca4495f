"""What an event triggers by its magnitude alone, where nothing is known of its surroundings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.numerics import FloatArray, Trained
from models.timing.architecture import Architecture
from models.timing.excitation import KERNEL_PRODUCTIVITIES
from models.timing.large_events import is_large, large_factors, large_shapes
from models.timing.sources_to_come import induced_by_sources


class PlainKernels(NamedTuple):
    """The plain weights of a network, and the law of the productivity of large events."""

    productivity: FloatArray
    """(a, 12) c of w_k(x) = Σ_a c_ak exp(a x), the members' mean."""
    large_log_factors: FloatArray | None = None
    """(2, 12) as `large_factors` takes them; None: no productivity is a distribution."""
    large_log_shape: FloatArray | None = None
    """(2,) as `large_shapes` takes them."""
    large_correction: FloatArray | None = None
    """() the share of the network's correction that large events keep."""

    @classmethod
    def of(cls, trained: Trained[Architecture]) -> PlainKernels:
        """Return those of a trained network; where it reads sources, an event brings what they are expected to bring after it, too."""
        architecture, weights = trained.architecture, trained.weights.part("kernels")
        productivity: FloatArray = np.exp(weights["log_productivity"]).mean(0)
        if architecture.source_depth:
            productivity[0] += induced_by_sources(weights["log_source_productivity"], weights["sources_per_event"])  # the term of a = 0
        if not architecture.large_events:
            return cls(productivity)
        return cls(productivity, weights["large_log_factors"], weights["large_log_shape"], weights["large_correction"])

    def offspring(self, excesses: FloatArray) -> FloatArray:
        """Return the events that events of these excesses are expected to trigger, by kernel: (n,) -> (n, 12)."""
        offspring: FloatArray = np.einsum("na,ak->nk", np.exp(np.outer(excesses, KERNEL_PRODUCTIVITIES)), self.productivity)
        return offspring if self.large_log_factors is None else offspring * large_factors(excesses, self.large_log_factors)

    def cumulant(self, excesses: FloatArray, expected: FloatArray) -> FloatArray:
        """Return −ln P(none of so many expected events), (..., n): the number itself, or κ ln(1 + number/κ) of large events.

        Args:
            excesses: (n,) of the events that trigger them.
            expected: (..., n)
        """
        if self.large_log_shape is None:
            return expected
        shapes = large_shapes(excesses, self.large_log_shape)
        cumulant: FloatArray = np.where(is_large(excesses), shapes * np.log1p(expected / shapes), expected)
        return cumulant

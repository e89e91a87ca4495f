"""The wait ahead where sources are still to come: their expected number, by its mean.

Sources come at the rate of the events times a number that the training span gives, and each brings events (`models.timing.sources`). With
v_k the events that the sources of one event are expected to bring by kernel k, the mean rate ahead, given that no event comes, obeys

    λ(s) = μ + Σ_k A_k(s)        A_k' = (v_k λ − A_k)/τ_k

which is linear, so λ is again a constant and twelve exponentials, with other rates of decay. With u = v/τ, S = diag(√u) and the symmetric
matrix diag(1/τ) − √u √uᵀ = Q diag(1/τ') Qᵀ,

    λ(s) = μ/(1 − V) + Σ_j A'_j exp(−s/τ'_j)        A' = diag(1ᵀ S Q) Qᵀ S⁻¹ (A − μ v/(1 − V)),        V = Σ_k v_k

The mean stands for the sources that will really come: the survival of a mixture of rates is larger than that of their mean (Jensen).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ingest.problem import Problem
from models.numerics import FloatArray
from models.timing.excitation import TAUS_DAYS, decays_of
from models.timing.inter_event_time import InterEventTime, kernel_clock

MOST_INDUCED = 0.9
"""The largest V; at 1 the sources would bring ever more of themselves."""
_LEAST_INDUCED = 1e-9


def induced_by_sources(log_productivity: FloatArray, sources_per_event: FloatArray) -> FloatArray:
    """Return v, (12,), the events that the sources of one event are expected to bring, by kernel.

    Args:
        log_productivity: (M, a, 12) ln c' of each member.
        sources_per_event: (a, 12) of `source_terms_per_event`.
    """
    induced: FloatArray = (np.exp(log_productivity).mean(0) * sources_per_event).sum(0)
    return induced


class SourcesToCome:
    """The mean effect of the sources to come.

    Args:
        induced: (12,) v, the events that the sources of one event are expected to bring, by kernel.

    Raises:
        Problem: they bring too many.
    """

    def __init__(self, induced: FloatArray) -> None:
        total = float(induced.sum())
        if total > MOST_INDUCED:
            raise Problem(f"the sources of an event bring {total:.2g} events on average", "train the model on more events")
        u = np.maximum(induced, _LEAST_INDUCED) / TAUS_DAYS
        decay_rates, vectors = np.linalg.eigh(np.diag(1.0 / TAUS_DAYS) - np.sqrt(np.outer(u, u)))
        self._taus: FloatArray = 1.0 / decay_rates
        self._background_factor = 1.0 / (1.0 - total)
        self._steady = induced * self._background_factor  # (12,) A/μ where the mean rate does not change
        heights = np.einsum("k,kj->j", np.sqrt(u), vectors)
        self._transform = heights[:, None] * vectors.T / np.sqrt(u)  # (12, 12)

    def expect(self, wait: InterEventTime[FloatArray]) -> InterEventTime[FloatArray]:
        """Return a wait, (), counted from its `elapsed` on, with the sources that are expected to come from then on."""
        elapsed, large = np.float64(wait.elapsed), wait.large
        clock = float(kernel_clock(wait.excitation, wait.background, elapsed, TAUS_DAYS, large)) + wait.clock_at_row
        if large is not None:
            later = large.after_silence(elapsed)
            large = later._replace(excitation=self._mapped(later.excitation))
        excitation = self._mapped(wait.excitation * decays_of(elapsed) - self._steady * wait.background)
        background = wait.background * self._background_factor
        return replace(
            wait, excitation=excitation, background=background, taus=self._taus, elapsed=0.0, large=large, clock_at_row=clock
        )  # fmt: skip

    def _mapped(self, excitation: FloatArray) -> FloatArray:
        mapped: FloatArray = np.einsum("jk,...k->...j", self._transform, excitation)
        return mapped

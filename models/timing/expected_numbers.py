"""How many events the kernels expect in the days after a moment, the offspring of offspring included.

What an event triggers depends on its surroundings: in quiet the networks expect 0.4 events of each, amid a great sequence 1.5, and sooner.
So the expected number is no linear function of the excitation, as that of a Hawkes process is (Hawkes & Oakes 1974). With n_k(λ) the mean
weights of events that come at a rate λ, learned from the training span,

    N' = λ = μ + Σ_k A_k        A_k' = (n_k(λ) λ − A_k)/τ_k

It leaves out fluctuations: a sequence that happens to grow also becomes more productive, so simulated means are larger, by up to a half in
the first day.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from models.numerics import FloatArray, IntArray
from models.timing.excitation import KERNELS, TAUS_DAYS
from models.training import Distributed

LOG_RATES = np.arange(-3.0, 8.1, 0.5)
"""ln λ at which mean weights are kept, λ in events per day."""
TYPICAL_EVENTS = 100.0
"""The number of a pattern's events near a rate at which its own mean weights count as much as those of all patterns."""
_FEWEST = 10.0
_WIDTH = LOG_RATES[1] - LOG_RATES[0]
_STEPS_DAYS = np.diff(np.concatenate(([0.0], np.geomspace(2e-5, 1.0, 36), np.geomspace(1.0, 7.0, 8)[1:])))
HORIZONS_DAYS = np.array([1.0, 7.0])


class Offspring(NamedTuple):
    """The mean weights of events, by pattern and by the rate at which they come."""

    weights: FloatArray
    """(P, LOG_RATES, 12)"""

    def at(self, rates: FloatArray, patterns: IntArray) -> FloatArray:
        """Return the mean weights at some rates, events per day: (F,), (F,) -> (F, 12), linear in ln λ."""
        below, part = _place(np.log(rates))
        part = part[:, None]
        weights: FloatArray = self.weights[patterns, below] * (1.0 - part) + self.weights[patterns, below + 1] * part
        return weights


def mean_offspring(weights: FloatArray, rates: FloatArray, patterns: IntArray, count: int, workers: Distributed) -> Offspring:
    """Return the mean weights of R events by rate, smoothed, each pattern's drawn towards those of all.

    Args:
        weights: (R, 12)
        rates: (R,) just before each event, events per day.
        patterns: (R,) 0 … `count` − 1.
    """
    size = len(LOG_RATES)
    sums, numbers = np.zeros((count * size, KERNELS)), np.zeros(count * size)
    below, part = _place(np.log(rates))
    for cells, shares in ((below, 1.0 - part), (below + 1, part)):
        cells = cells + size * patterns
        numbers += np.bincount(cells, shares, count * size)
        for kernel in range(KERNELS):
            sums[:, kernel] += np.bincount(cells, shares * weights[:, kernel], count * size)
    smooth = np.exp(-0.5 * np.square((LOG_RATES[:, None] - LOG_RATES) / _WIDTH))  # (G, G)
    sums = np.einsum("gh,phk->pgk", smooth, sums.reshape(count, size, KERNELS))
    numbers = np.einsum("gh,ph->pg", smooth, numbers.reshape(count, size))[..., None]
    totals = workers.total(torch.from_numpy(np.concatenate((sums.sum(0), numbers.sum(0)), 1))).numpy()  # (G, 13)
    everywhere = totals[:, :KERNELS].sum(0) / totals[:, KERNELS].sum()
    together = (totals[:, :KERNELS] + _FEWEST * everywhere) / (totals[:, KERNELS:] + _FEWEST)
    return Offspring((sums + TYPICAL_EVENTS * together) / (numbers + TYPICAL_EVENTS))


def expected_numbers(excitation: FloatArray, background: FloatArray, offspring: Offspring, patterns: IntArray) -> FloatArray:
    """Return the events expected within `HORIZONS_DAYS` of F moments: (F, 12), (F,), (F,) -> (F, horizons).

    In a step of length h with offspring n at the step's mean rate λ the excitation has a closed form, and the number is

        μ h + Σ_k A_k τ_k (1 − exp(−h/τ_k)) + λ n_k (h − τ_k (1 − exp(−h/τ_k)))

    Args:
        excitation: (F, 12) at the moments, 1/day.
        background: (F,) μ, events per day.
    """
    ends, after, numbers = np.cumsum(_STEPS_DAYS), np.zeros(len(excitation)), list[FloatArray]()
    for days, end in zip(_STEPS_DAYS.tolist(), ends.tolist(), strict=True):
        gone = -np.expm1(-days / TAUS_DAYS)
        direct = background * days + excitation @ (TAUS_DAYS * gone)
        rate = background + excitation.sum(1)
        for _ in range(2):
            brought = offspring.at(rate, patterns) * rate[:, None]
            number = direct + brought @ (days - TAUS_DAYS * gone)
            rate = number / days
        brought = offspring.at(rate, patterns) * rate[:, None]
        after = after + direct + brought @ (days - TAUS_DAYS * gone)
        excitation = excitation * (1.0 - gone) + brought * gone
        if np.isclose(end, HORIZONS_DAYS).any():
            numbers.append(after)
    return np.stack(numbers, 1)


def _place(log_rates: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the number in `LOG_RATES` below each logarithm, and the part of the way to the next."""
    steps = np.clip((log_rates - LOG_RATES[0]) / _WIDTH, 0.0, len(LOG_RATES) - 1.0 - 1e-9)
    below = steps.astype(np.int64)
    return below, steps - below

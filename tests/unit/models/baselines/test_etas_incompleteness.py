"""ETAS with a blind time: its likelihood, and its fit to simulated catalogues from which the first hours after a M 7 are missing."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad  # type: ignore[import-untyped, unused-ignore]

from models.baselines.etas.incompleteness import IncompleteFit, fit_incomplete_times, time_log_likelihood
from models.baselines.etas.model import Etas
from models.baselines.etas.times_fit import fit_times
from models.catalog import Span
from tests.measurements.etas_incompleteness import BETA, BLIND_DAYS, GROWTH, HELD, OFFSPRING, TRUTH, recorded, sequence

WHOLE = sequence(0)
RECORDED = recorded(WHOLE)


def test_the_likelihood_of_times_is_the_plain_sum() -> None:
    few = WHOLE.before(WHOLE.observed.start.plus(days=float(WHOLE.days[12]) + 0.01))
    span = Span(few.observed.start.plus(days=float(few.days[3])), few.observed.end)
    jumps = TRUTH.jumps(TRUTH.excesses(few.magnitudes))

    def rate(day: float) -> float:
        past = few.days < day
        return TRUTH.background_per_day + float(jumps[past] @ TRUTH.omori.density(day - few.days[past]))

    def seen(day: float) -> float:
        return -math.expm1(-BLIND_DAYS * rate(day)) / BLIND_DAYS

    own = few.days[few.rows(span)]
    edges = [few.day_of(span.start), *own.tolist(), few.day_of(span.end)]
    expected = sum(quad(seen, low, high, limit=200)[0] for low, high in pairwise(edges) if high > low)
    plain = sum(math.log(seen(day)) for day in own.tolist()) - expected
    assert time_log_likelihood(IncompleteFit(TRUTH, BLIND_DAYS, BETA, 0.0), few, span) == pytest.approx(plain, rel=1e-5)


def test_without_a_blind_time_it_is_the_likelihood_of_etas() -> None:
    times = Etas(TRUTH).times(WHOLE, WHOLE.observed)
    plain = float(np.log(times.rates).sum() - times.expected.sum())
    assert time_log_likelihood(IncompleteFit(TRUTH, 1e-9, BETA, 0.0), WHOLE, WHOLE.observed) == pytest.approx(plain, rel=1e-5)


def test_the_plain_fit_is_biased_by_missing_events_and_the_fit_with_a_blind_time_is_not() -> None:
    """Tolerances are two standard deviations over eight catalogues (`python -m tests.measurements.etas_incompleteness`)."""
    assert len(RECORDED) < 0.9 * len(WHOLE)
    plain = fit_times(TRUTH, RECORDED, RECORDED.observed, HELD)
    assert plain.growth < GROWTH - 0.2
    assert plain.offspring_at_completeness > 1.5 * OFFSPRING
    fit = fit_incomplete_times(TRUTH, RECORDED, RECORDED.observed, HELD)
    assert fit.parameters.growth == pytest.approx(GROWTH, abs=0.13)
    assert fit.parameters.offspring_at_completeness == pytest.approx(OFFSPRING, abs=0.025)
    assert fit.blind_days == pytest.approx(BLIND_DAYS, abs=0.0008)
    assert fit.beta == pytest.approx(BETA, abs=0.07)

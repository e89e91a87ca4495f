"""Reasenberg and Jones on sequences that their law has made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad  # type: ignore[import-untyped, unused-ignore]
from scipy.special import logsumexp  # type: ignore[import-untyped, unused-ignore]

from models.sequences.moments import Moment
from models.sequences.reasenberg_jones import GRID, ReasenbergJones, completeness_of, exposure, log_likelihood, log_weights
from models.sequences.regimes import AftershockCompleteness, completeness_at, productivity_at
from models.sequences.study import score_moments
from tests.unit.models.sequences.simulated_sequences import PLACE, mainshocks_of, simulated_sequences

LAW = productivity_at(*PLACE)


def test_regimes_and_completeness_are_those_of_the_tables() -> None:
    assert productivity_at(37.2, 37.0).regime == "ANSR-ABSLDEC"
    assert (productivity_at(37.2, 37.0).a, productivity_at(37.2, 37.0).p) == (-2.29, 1.01)
    assert productivity_at(35.9, -117.7).regime == "CAL-HYDROTHERMAL", "California's polygons come first"
    assert completeness_at(52.0, 175.0).region == "ALASKA", "a polygon across the date line"
    assert completeness_at(0.0, 0.0).region == "WORLD"


def test_completeness_rises_after_a_large_earthquake() -> None:
    world = completeness_at(0.0, 0.0)
    assert world.magnitude(7.8, 0.01) == pytest.approx(0.5 * 7.8 - 0.25 + 2.0)
    assert world.magnitude(7.8, 10.0) == pytest.approx(4.6)


def test_the_exposure_is_the_integral_of_the_decay() -> None:
    whole, _ = quad(lambda t: 10.0 ** (LAW.b * 2.5) * (t + LAW.c_days) ** -LAW.p, 0.5, 8.0)
    assert exposure(LAW, 7.0, 4.5, 0.5, 8.0) == pytest.approx(whole)
    rising = AftershockCompleteness("here", 1.0, 4.5, 0.75, 4.5)

    def seen(t: float) -> float:
        return float(10.0 ** (LAW.b * (8.0 - max(4.5, float(rising.magnitude(8.0, t))))) * (t + LAW.c_days) ** -LAW.p)

    parts = sum(quad(seen, low, high)[0] for low, high in ((1e-6, 1e-3), (1e-3, 0.03), (0.03, 0.3), (0.3, 8.0)))
    assert exposure(LAW, 8.0, 4.5, 0.0, 8.0, rising) == pytest.approx(parts, rel=0.01)


def test_the_posterior_finds_the_productivity_of_a_sequence() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([-3.2, -2.5, -1.8])
    known = simulated_sequences(LAW, truth, 7.5, rng)
    for a, mainshock in zip(truth, mainshocks_of(known, 7.5), strict=True):
        moment = Moment(known, mainshock, 24.0)
        weights = log_weights(LAW, 7.5) + log_likelihood(moment, LAW, completeness_of(moment))
        shares = np.exp(weights - logsumexp(weights))
        mean = float(shares @ GRID)
        spread = float(np.sqrt(shares @ np.square(GRID - mean)))
        assert abs(mean - a) < 3.0 * spread + 0.05
        assert spread < 0.35, "the prior's is 0.5"


def test_ranges_hold_as_often_as_they_say_for_sequences_of_the_law_itself() -> None:
    rng = np.random.default_rng(4)
    productivities = np.clip(rng.normal(LAW.a, LAW.sigma(7.0), 40), -4.5, -0.5)
    known = simulated_sequences(LAW, productivities, 7.0, rng)
    moments = [Moment(known, mainshock, hours) for mainshock in mainshocks_of(known, 7.0) for hours in (0.0, 24.0)]
    outlooks = score_moments(moments, [ReasenbergJones(updated=False), ReasenbergJones(updated=True)])
    for name in ("Reasenberg-Jones, prior", "Reasenberg-Jones, updated"):
        scores = [one.scores for one in outlooks if one.forecaster == name and one.level == "complete"]
        assert np.mean([one.in_95 for one in scores]) > 0.88
        assert 0.35 < np.mean([one.in_50 for one in scores]) < 0.75
    later = {name: np.mean([one.scores.log_score for one in outlooks if one.forecaster == name and one.hours > 0.0]) for name in
             ("Reasenberg-Jones, prior", "Reasenberg-Jones, updated")}  # fmt: skip
    assert later["Reasenberg-Jones, updated"] > later["Reasenberg-Jones, prior"] + 0.1

"""Sequences as the unit of scoring: mainshocks, how many aftershocks are forecast, and how many came."""

from __future__ import annotations

from models.sequences.counts import CountDistribution, NegativeBinomial, PoissonMixture, SampledCounts
from models.sequences.earthquakes import Earthquakes, as_earthquakes, read_first_seen
from models.sequences.etas_counts import EtasCounts, fit_by_completeness
from models.sequences.mainshocks import Mainshock, find_mainshocks
from models.sequences.moments import ISSUE_HOURS, LEVELS, WINDOWS_DAYS, Moment, moments_of
from models.sequences.negative_binomial import NegativeBinomialCounts, fit_counts
from models.sequences.reasenberg_jones import ReasenbergJones
from models.sequences.regimes import completeness_at, productivity_at
from models.sequences.simulated import ForecasterCounts
from models.sequences.study import Outlook, SequenceForecaster, find_moments, score_moments, summarise
from models.sequences.table import table_lines

__all__ = [
    "ISSUE_HOURS",
    "LEVELS",
    "WINDOWS_DAYS",
    "CountDistribution",
    "Earthquakes",
    "EtasCounts",
    "ForecasterCounts",
    "Mainshock",
    "Moment",
    "NegativeBinomial",
    "NegativeBinomialCounts",
    "Outlook",
    "PoissonMixture",
    "ReasenbergJones",
    "SampledCounts",
    "SequenceForecaster",
    "as_earthquakes",
    "completeness_at",
    "find_mainshocks",
    "find_moments",
    "fit_by_completeness",
    "fit_counts",
    "moments_of",
    "productivity_at",
    "read_first_seen",
    "score_moments",
    "summarise",
    "table_lines",
]

from .counts import CountDistribution, NegativeBinomial, PoissonMixture, SampledCounts
from .earthquakes import Earthquakes, as_earthquakes, read_first_seen
from .etas_counts import EtasCounts, fit_by_completeness
from .mainshocks import Mainshock, find_mainshocks
from .moments import ISSUE_HOURS, LEVELS, WINDOWS_DAYS, Moment, moments_of
from .negative_binomial import NegativeBinomialCounts, fit_counts
from .reasenberg_jones import ReasenbergJones
from .regimes import completeness_at, productivity_at
from .simulated import ForecasterCounts
from .study import Outlook, SequenceForecaster, find_moments, score_moments, summarise
from .table import table_lines

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

"""Baselines: Poisson, Gutenberg–Richter, Weibull, ETAS and the textbook network; Poisson and ETAS run in the stream too."""

from __future__ import annotations

from models.baselines.etas import (
    SEQUENCES,
    Etas,
    EtasParameters,
    Omori,
    catalogue_stem,
    fit_etas,
    fit_times,
    prepare_history,
    published_parameters_file,
    simulate_etas,
)
from models.baselines.fit_file import read_fit
from models.baselines.gutenberg_richter import GutenbergRichter
from models.baselines.long_run import LARGE_MAGNITUDES, LongRunRates, RegionalRates, read_rates
from models.baselines.median import fit_median
from models.baselines.poisson import fit_poisson
from models.baselines.streaming import BUILT_IN, LARGEST_EXCESS, LiveBaselines, excess_of, read_parameters
from models.baselines.textbook import fit_textbook
from models.baselines.weibull import fit_weibull

__all__ = [
    "BUILT_IN",
    "LARGEST_EXCESS",
    "LARGE_MAGNITUDES",
    "SEQUENCES",
    "Etas",
    "EtasParameters",
    "GutenbergRichter",
    "LiveBaselines",
    "LongRunRates",
    "Omori",
    "RegionalRates",
    "catalogue_stem",
    "excess_of",
    "fit_etas",
    "fit_median",
    "fit_poisson",
    "fit_textbook",
    "fit_times",
    "fit_weibull",
    "prepare_history",
    "published_parameters_file",
    "read_fit",
    "read_parameters",
    "read_rates",
    "simulate_etas",
]

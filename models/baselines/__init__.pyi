from .etas import (
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
from .fit_file import read_fit
from .gutenberg_richter import GutenbergRichter
from .long_run import LARGE_MAGNITUDES, LongRunRates, RegionalRates, read_rates
from .median import fit_median
from .poisson import fit_poisson
from .streaming import BUILT_IN, LARGEST_EXCESS, LiveBaselines, excess_of, read_parameters
from .textbook import fit_textbook
from .weibull import fit_weibull

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

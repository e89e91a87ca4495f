from .fit import fit_etas
from .model import Etas, EtasParameters, catalogue_stem, published_parameters_file
from .omori import Omori
from .simulate import prepare_history, simulate_etas
from .times_fit import SEQUENCES, fit_times

__all__ = [
    "SEQUENCES",
    "Etas",
    "EtasParameters",
    "Omori",
    "catalogue_stem",
    "fit_etas",
    "fit_times",
    "prepare_history",
    "published_parameters_file",
    "simulate_etas",
]

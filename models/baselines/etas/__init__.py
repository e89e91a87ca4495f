"""ETAS, the epidemic-type aftershock sequence model (Ogata 1988, 1998): fit, likelihood, simulation."""

from __future__ import annotations

from models.baselines.etas.fit import fit_etas
from models.baselines.etas.model import Etas, EtasParameters, catalogue_stem, published_parameters_file
from models.baselines.etas.omori import Omori
from models.baselines.etas.simulate import prepare_history, simulate_etas
from models.baselines.etas.times_fit import SEQUENCES, fit_times

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

"""ETAS, the epidemic-type aftershock sequence model (Ogata 1988, 1998): fit, likelihood, simulation."""

from __future__ import annotations

from models.baselines.etas.fit import fit_etas
from models.baselines.etas.model import Etas, EtasParameters, published, stem
from models.baselines.etas.omori import Omori
from models.baselines.etas.simulate import lasting, simulate_etas

__all__ = [
    "Etas",
    "EtasParameters",
    "Omori",
    "fit_etas",
    "lasting",
    "published",
    "simulate_etas",
    "stem",
]

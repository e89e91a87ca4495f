"""ETAS, the epidemic-type aftershock sequence model (Ogata 1988, 1998): fit, likelihood, simulation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

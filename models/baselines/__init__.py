"""Baselines: Poisson, Gutenberg–Richter, Weibull, ETAS and the textbook network; Poisson and ETAS run in the stream too."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

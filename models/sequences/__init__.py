"""Sequences as the unit of scoring: mainshocks, how many aftershocks are forecast, and how many came."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

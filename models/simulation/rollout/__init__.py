"""Possible futures of a region, simulated event by event from the forecaster's own distributions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

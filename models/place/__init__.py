"""The place of the next event: power-law kernels around past events and a background map."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The magnitude of the next event: Gutenberg–Richter's law, thinned by detection, from a small network."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

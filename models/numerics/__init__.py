"""Geometry on the sphere, root finding, and functions that take torch tensors and numpy arrays alike."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

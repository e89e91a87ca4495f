"""The CNN: a network over maps of a region that re-weights the places of the next event."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

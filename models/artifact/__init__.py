"""Models on disk: their files, their cards, and the pictures on the cards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""From catalogues to a written model, and the decision whether it replaces the one in force."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Where background earthquakes come in the long run: a map from a century of catalogues, plate boundaries, slabs, coasts and regimes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

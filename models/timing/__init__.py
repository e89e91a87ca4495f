"""When: Hawkes kernels whose weights a network chooses, corrected by an LSTM."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

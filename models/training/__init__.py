"""What all training loops share: layers, gradient steps, best weights, checkpoints, several machines, divergence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

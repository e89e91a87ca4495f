"""What a catalogue holds, what of it is used, from which magnitude it is complete, and how it is divided for training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

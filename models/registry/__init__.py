"""Folders of models by name, with manifests and hashes. It does not load torch, so that listing and promoting models is quick."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

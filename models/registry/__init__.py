"""Folders of models by name, with manifests and hashes. It does not load torch, so that listing and promoting models is quick."""

from __future__ import annotations

from models.registry.manifest import CARD, KINDS, verify_model_folder, write_model_folder
from models.registry.registry import Entry, Registry, built_in

__all__ = [
    "CARD",
    "KINDS",
    "Entry",
    "Registry",
    "built_in",
    "verify_model_folder",
    "write_model_folder",
]

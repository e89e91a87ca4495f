from .manifest import CARD, KINDS, verify_model_folder, write_model_folder
from .registry import Entry, Registry, built_in

__all__ = [
    "CARD",
    "KINDS",
    "Entry",
    "Registry",
    "built_in",
    "verify_model_folder",
    "write_model_folder",
]

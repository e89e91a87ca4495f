from .comparison import as_sequence
from .etas_reference import circle

__all__ = [
    "as_sequence",
    "circle",
]

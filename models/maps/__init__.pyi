from .live import NetworkMapMaker

__all__ = ["NetworkMapMaker"]

"""Expected numbers of events by cell of a region, in closed form."""

from __future__ import annotations

from models.maps.live import NetworkMapMaker

__all__ = ["NetworkMapMaker"]

"""The one door to ObsPy: Flinn–Engdahl regions, catalogue files, and the FDSN client."""

from __future__ import annotations

from obspy.geodetics import FlinnEngdahl  # type: ignore[import-untyped]


def flinn_engdahl() -> FlinnEngdahl:
    """ObsPy's Flinn–Engdahl regionalisation (1995 revision); `get_number(longitude, latitude)` gives 1 … 757."""
    return FlinnEngdahl()

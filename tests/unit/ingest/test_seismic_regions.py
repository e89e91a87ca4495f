"""The table of the seismic regions is ObsPy's regionalisation, at borders, poles and the date line too."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from ingest.seismic_regions import ADDED_IN_1995, SEISMIC_REGION_NAMES, SEISMIC_REGION_STARTS, seismic_number
from ingest.seismology import flinn_engdahl

FIND = flinn_engdahl().get_number
LATITUDES = st.floats(-90.0, 90.0) | st.integers(-90, 90).map(float)
LONGITUDES = st.floats(-180.0, 180.0) | st.integers(-180, 180).map(float)


def by_obspy(latitude: float, longitude: float) -> int:
    number = FIND(longitude, latitude)
    return ADDED_IN_1995.get(number) or bisect_right(SEISMIC_REGION_STARTS, number)


@given(LATITUDES, LONGITUDES)
def test_a_place_has_the_region_that_obspy_gives(latitude: float, longitude: float) -> None:
    assert seismic_number(latitude, longitude) == by_obspy(latitude, longitude)


def test_every_degree_has_the_region_that_obspy_gives() -> None:
    places = [(latitude / 2.0, longitude / 2.0) for latitude in range(-180, 181) for longitude in range(-360, 361)]
    numbers = [seismic_number(*place) for place in places]
    assert numbers == [by_obspy(*place) for place in places]
    assert set(numbers) == set(range(1, len(SEISMIC_REGION_NAMES) + 1))

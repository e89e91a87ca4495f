"""The 50 Flinn–Engdahl seismic regions, which cover the world; their borders follow whole degrees.

The table `seismic_regions.zlib` holds their numbers by degree, so that who finds a region need not load ObsPy. `python -m
ingest.seismology` writes it again from ObsPy's regionalisation (the revision of 1995).
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("seismic_regions.zlib")
"""For each quadrant (NE, NW, SE, SW), whole degree of latitude 0 … 90 and of longitude 0 … 180, both towards zero: a byte, the number."""
LATITUDES, LONGITUDES = 91, 181

# First geographic region of each seismic region 1 … 50, and the geographic regions added by the 1995 revision
# (Young et al. 1996, Physics of the Earth and Planetary Interiors 96, 223–297).
SEISMIC_REGION_STARTS = (
    1, 18, 30, 47, 53, 72, 84, 102, 143, 147, 158, 169, 180, 183, 190, 196, 209, 211, 217, 231, 242, 248, 261, 273, 294,
    302, 320, 326, 335, 357, 376, 402, 415, 438, 528, 532, 550, 588, 611, 633, 656, 667, 683, 693, 700, 703, 709, 713, 721, 727,
)  # fmt: skip
ADDED_IN_1995 = {730: 5, 731: 7, 732: 10, **dict.fromkeys(range(733, 738), 25), **dict.fromkeys(range(738, 740), 32),
                  **dict.fromkeys(range(740, 743), 33), **dict.fromkeys(range(743, 756), 37), 756: 43, 757: 44}  # fmt: skip
SEISMIC_REGION_NAMES = (
    "Alaska–Aleutian arc", "Eastern Alaska to Vancouver Island", "California–Nevada region", "Baja California and Gulf of California",
    "Mexico–Guatemala area", "Central America", "Caribbean loop", "Andean South America", "Extreme South America", "Southern Antilles",
    "New Zealand region", "Kermadec–Tonga–Samoa area", "Fiji Islands area", "Vanuatu", "Bismarck and Solomon Islands", "New Guinea",
    "Caroline Islands to Guam", "Guam to Japan", "Japan–Kurils–Kamchatka", "Southwestern Japan and Ryukyu Islands", "Taiwan", "Philippines",
    "Borneo–Sulawesi", "Sunda arc", "Myanmar and Southeast Asia", "India–Tibet–Sichuan–Yunnan", "Southern Xinjiang to Gansu",
    "Almaty to Lake Baikal", "Western Asia", "Middle East–Crimea–Balkans", "Western Mediterranean area", "Atlantic Ocean", "Indian Ocean",
    "Eastern North America", "Eastern South America", "Northwestern Europe", "Africa", "Australia", "Pacific basin", "Arctic zone",
    "Eastern Asia", "Northeastern Asia and northern Alaska to Greenland", "Southeastern and Antarctic Pacific", "Galápagos area",
    "Macquarie loop", "Andaman Islands to Sumatra", "Balochistan", "Hindu Kush and Pamir", "Northern Asia", "Antarctica",
)  # fmt: skip


def seismic_number(latitude: float, longitude: float) -> int:
    """Return the number, 1 … 50, of the seismic region of a place (degrees; latitude within ±90, longitude within ±180)."""
    east = 180.0 if longitude == -180.0 else longitude
    quadrant = 2 * (latitude < 0.0) + (east < 0.0)
    return _table()[(quadrant * LATITUDES + int(abs(latitude))) * LONGITUDES + int(abs(east))]


@cache
def _table() -> bytes:
    return zlib.decompress(TABLE.read_bytes())

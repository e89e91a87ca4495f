"""The region table: finds the region of an epicentre, with its magnitude of completeness and the length of its window.

Named polygons come first (`regions.toml`, or a file of the user); the 50 Flinn–Engdahl seismic regions cover the rest of the world.
"""

from __future__ import annotations

import math
import os
import tomllib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path

import msgspec
import shapely
import shapely.affinity

from ingest.plausible import LONGEST_ID
from ingest.problem import Problem
from ingest.seismic_regions import SEISMIC_REGION_NAMES, seismic_number

FLINN_ENGDAHL_COMPLETENESS = 4.5
FLINN_ENGDAHL_WINDOW_DAYS = 365.0
LONGEST_WINDOW_DAYS = 36_525.0


class Region(msgspec.Struct, frozen=True):
    """A region that is forecast as a whole."""

    id: str
    name: str
    magnitude_of_completeness: float
    """Events from this magnitude on enter the window."""
    window_days: float
    """Events younger than this stay in the window."""


BUILT_IN = Path(__file__).with_name("regions.toml")
"""The table that comes with the program."""


class RegionTable:
    """Finds the region of each epicentre. The whole world is covered."""

    def __init__(self, named: list[tuple[Region, shapely.Geometry]]) -> None:
        self._named = named
        for _, shape in named:
            shapely.prepare(shape)
        self._bounds = [shapely.bounds(shape).tolist() for _, shape in named]
        self._by_id = {region.id: region for region, _ in named} | {r.id: r for r in map(_seismic_region, range(1, 51))}
        self._shapes: dict[str, shapely.Geometry] = {}

    @classmethod
    def load(cls, file: Path | None = None) -> RegionTable:
        """Load a table from a file with the keys of `regions.toml`: the one given, else that of `QUAKECAST_REGIONS`, else the built-in one.

        Raises:
            Problem: the file is missing or is not TOML, or an entry lacks a key or a valid polygon.
        """
        named = os.environ.get("QUAKECAST_REGIONS")
        path = file or (Path(named) if named else BUILT_IN)
        try:
            rows = tomllib.loads(path.read_text(encoding="utf-8"))["region"]
            named_regions = [(msgspec.convert(row, Region), _cut_at_date_line(_uncut_polygon(row["polygon"]))) for row in rows]
            _check_regions([region for region, _ in named_regions])
            return cls(named_regions)
        except FileNotFoundError:
            raise Problem(f"the region file {path} does not exist", "name an existing TOML file with --regions") from None
        except (OSError, KeyError, TypeError, ValueError, RecursionError, shapely.errors.GEOSException) as error:
            raise Problem(
                f"{path} is not a region table ({type(error).__name__}: {error})", "compare it with ingest/regions.toml"
            ) from None

    def __iter__(self) -> Iterator[Region]:
        return iter(self._by_id.values())

    def __getitem__(self, region_id: str) -> Region:
        return self._by_id[region_id]

    def __contains__(self, region_id: str) -> bool:
        return region_id in self._by_id

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the table's regions, completeness and windows, on which forecasts depend."""
        return sha256(msgspec.json.encode(list(self))).hexdigest()[:12]

    def region_of(self, latitude: float, longitude: float) -> Region:
        """Return the region of an epicentre (degrees; latitude within ±90, longitude within ±180)."""
        for (region, shape), (west, south, east, north) in zip(self._named, self._bounds, strict=True):
            if south <= latitude <= north and west <= longitude <= east and shapely.contains_xy(shape, longitude, latitude):
                return region
        return self._by_id[_seismic_id(seismic_number(latitude, longitude))]

    def shape(self, region_id: str) -> shapely.Geometry:
        """Return the area for which `region_of` returns this region.

        Returns:
            Polygons with x = longitude and y = latitude in degrees, cut at the date line; empty when regions before it in the table
            cover all of it.

        Raises:
            KeyError: the table has no such region.
        """
        if region_id not in self._shapes:
            self._shapes[region_id] = self._shape(self[region_id].id)
        return self._shapes[region_id]

    def _shape(self, region_id: str) -> shapely.Geometry:
        before: list[shapely.Geometry] = []
        for region, shape in self._named:
            if region.id == region_id:
                return shapely.difference(shape, shapely.union_all(before))
            before.append(shape)
        return shapely.difference(_seismic_shape(region_id), shapely.union_all(before))


def _check_regions(regions: Sequence[Region]) -> None:
    """Check that the regions of a table can be told apart, and that their windows have an end.

    Raises:
        ValueError: they cannot.
    """
    ids = [*(region.id for region in regions), *(_seismic_region(number).id for number in range(1, 51))]
    if len(set(ids)) < len(ids):
        raise ValueError("two regions have the same id, or one has an id of fe-01 … fe-50")
    for region in regions:
        if not 0 < len(region.id) <= LONGEST_ID:
            raise ValueError(f"the id of a region has 1 to {LONGEST_ID} characters")
        if not (0.0 < region.window_days <= LONGEST_WINDOW_DAYS and math.isfinite(region.magnitude_of_completeness)):
            raise ValueError(f"region {region.id}: window_days must be in 0 … {LONGEST_WINDOW_DAYS:g}, and the magnitude a number")


def partition_of(region_id: str, partitions: int) -> int:
    """Return the partition of a region's records: a hash that is the same in every process and release."""
    return zlib.crc32(region_id.encode()) % partitions


def polygon_of(corners: Iterable[Sequence[float]]) -> shapely.Geometry:
    """Return the polygon of (latitude, longitude) corners in degrees, with x = longitude and y = latitude, cut at the date line.

    Longitudes may go beyond 180. Neighbouring corners more than 180 but less than 360 degrees apart, such as 175 and −175, are joined the
    shorter way.

    Raises:
        ValueError: fewer than three corners, or sides cross each other.
    """
    whole = _uncut_polygon(corners)
    west, _, east, _ = whole.bounds
    return whole if west >= -180.0 and east <= 180.0 else _cut_at_date_line(whole)


def _uncut_polygon(corners: Iterable[Sequence[float]]) -> shapely.Polygon:
    points: list[tuple[float, float]] = []
    turn, previous = 0.0, None
    for latitude, longitude in corners:
        step = 0.0 if previous is None else longitude - previous
        turn -= math.copysign(360.0, step) if 180.0 < abs(step) < 360.0 else 0.0
        points.append((longitude + turn, latitude))
        previous = longitude
    whole = shapely.Polygon(points)
    if whole.is_empty:
        raise ValueError("a polygon has no corners")
    if not whole.is_valid:
        raise ValueError("a polygon crosses itself")
    return whole


def _cut_at_date_line(whole: shapely.Polygon) -> shapely.Geometry:
    """Return the polygon with the parts beyond the date line continued on its other side."""
    parts = [
        shapely.affinity.translate(whole.intersection(shapely.box(360 * k - 180, -90, 360 * k + 180, 90)), -360 * k) for k in (-1, 0, 1)
    ]
    return shapely.union_all([part for part in parts if not part.is_empty])


def _seismic_region(number: int) -> Region:
    return Region(_seismic_id(number), SEISMIC_REGION_NAMES[number - 1], FLINN_ENGDAHL_COMPLETENESS, FLINN_ENGDAHL_WINDOW_DAYS)


def _seismic_id(number: int) -> str:
    return f"fe-{number:02d}"


def _seismic_shape(region_id: str) -> shapely.Geometry:
    """Return a Flinn–Engdahl seismic region; its borders follow whole degrees."""
    west, south = zip(*_seismic_cells()[region_id], strict=True)
    cells = shapely.box(west, south, [degree + 1 for degree in west], [degree + 1 for degree in south])
    return shapely.coverage_union_all(cells).simplify(0.0)


@cache
def _seismic_cells() -> dict[str, list[tuple[int, int]]]:
    """Return the south-western corners of each seismic region's cells of one degree, longitude and latitude."""
    cells: dict[str, list[tuple[int, int]]] = {}
    for west, south in product(range(-180, 180), range(-90, 90)):
        cells.setdefault(_seismic_id(seismic_number(south + 0.5, west + 0.5)), []).append((west, south))
    return cells

"""What a catalogue alone does not know of a place, as columns over places: plate boundaries, slabs, coasts, regimes, earlier earthquakes.

A quantity x such as a distance becomes K columns by linear interpolation between K knots, so a log-linear model of the columns is a
piecewise linear function of x. Sources (`../shared/data/tectonics`, its README has licences): Bird (2003, doi:10.1029/2001GC000252), Hayes
et al. (2018, doi:10.1126/science.aat4723), García et al. (2012), Natural Earth's land as the page has it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio  # type: ignore[import-untyped, unused-ignore]
import shapely
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped, unused-ignore]
from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from models.baselines.etas.background import BackgroundMap
from models.catalog import earthquakes
from models.numerics import EARTH_RADIUS_KM, FloatArray, places, positions_km
from tests.support.paths import RECORDED, ROOT

TECTONICS, CATALOGUES = RECORDED / "data" / "tectonics", RECORDED / "data" / "catalogs"
BOUNDARY_KNOTS_KM = (0.0, 15.0, 30.0, 60.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1_000.0, 3_000.0)
SLAB_KNOTS_KM = (0.0, 10.0, 20.0, 30.0, 45.0, 60.0, 80.0, 100.0, 150.0, 200.0, 300.0, 500.0, 700.0)
OUTSIDE_KNOTS_KM = (0.0, 50.0, 100.0, 200.0, 400.0, 1_000.0)
COAST_KNOTS_KM = (-2_000.0, -500.0, -200.0, -100.0, -50.0, 0.0, 50.0, 100.0, 200.0, 500.0, 2_000.0)
SPACING_KM = 5.0
LOG_MEAN = 19.0
"""Added to ln densities, 1/km², which brings them near 0: the ridge is on their weights alone."""
LONG_CATALOGUES = (("global_m6_1900_2015.csv.xz", 6.0), ("global_m55_1965_2016_legacy_format.csv.xz", 5.5))
LONG_NEIGHBOUR, LONG_NARROWEST_KM = 3, 25.0
"""A kernel is as wide as the distance to this nearest neighbour, and not narrower: century-old epicentres are some 25 km off."""


def interpolation_columns(values: FloatArray, knots: tuple[float, ...]) -> csr_matrix:
    """Return the weights of the knots around each value, (N,) -> (N, K); values beyond the ends count as the ends, NaN as nothing."""
    known = np.flatnonzero(np.isfinite(values))
    x, at = np.clip(values[known], knots[0], knots[-1]), np.array(knots)
    left = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    part = (x - at[left]) / (at[left + 1] - at[left])
    rows = np.concatenate((known, known))
    return csr_matrix((np.concatenate((1.0 - part, part)), (rows, np.concatenate((left, left + 1)))), (len(values), len(at)))


def points_along(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
    """Return positions at most 5 km apart along a line of (V,) vertices, degrees, (P, 3) km."""
    corners = positions_km(places(latitudes, longitudes))
    pieces = [corners[-1:]]
    for start, end in pairwise(corners):
        steps = max(math.ceil(float(np.linalg.norm(end - start)) / SPACING_KM), 1)
        pieces.append(start + (end - start) * (np.arange(steps) / steps)[:, None])
    found = np.concatenate(pieces)
    return np.asarray(EARTH_RADIUS_KM * found / np.linalg.norm(found, axis=1, keepdims=True))


def distances_km(of: FloatArray, to: FloatArray) -> FloatArray:
    """Return the distance of each position, (N, 3) km, to the nearest of others, (M, 3) km, (N,)."""
    return np.asarray(cKDTree(to).query(of, k=1)[0])


def boundary_columns(latitudes: FloatArray, longitudes: FloatArray) -> csr_matrix:
    """Return columns of the distances to the nearest subduction zone and to the nearest other plate boundary."""
    at, parts = positions_km(places(latitudes, longitudes)), []
    features = json.loads((TECTONICS / "PB2002_boundaries.json").read_bytes())["features"]
    for is_subduction in (True, False):
        chosen = [one for one in features if (one["properties"]["Type"] == "subduction") == is_subduction]
        lines = [np.array(one["geometry"]["coordinates"], np.float64) for one in chosen]
        parts.append(interpolation_columns(distances_km(at, np.concatenate([points_along(y, x) for x, y in (line.T for line in lines)])),
                                           BOUNDARY_KNOTS_KM))  # fmt: skip
    return hstack(parts).tocsr()


def slab_columns(latitudes: FloatArray, longitudes: FloatArray) -> csr_matrix:
    """Return columns of the depth of the shallowest slab below a place, and of the distance to a slab where there is none."""
    depths, outlines = np.full(len(latitudes), np.nan), []
    for file in sorted((TECTONICS / "slab2").glob("*_dep_*.grd")):
        with rasterio.open(file) as source:
            grid, box, step = -source.read(1).astype(np.float64), source.bounds, source.res[0]
        rows = np.floor((box.top - latitudes) / step).astype(np.int64)
        columns = np.floor(np.remainder(longitudes - box.left, 360.0) / step).astype(np.int64)
        inside = np.flatnonzero((rows >= 0) & (rows < grid.shape[0]) & (columns < grid.shape[1]))
        depths[inside] = np.fmin(depths[inside], grid[rows[inside], columns[inside]])
        row, column = np.nonzero(np.isfinite(grid[::4, ::4]))
        outlines.append(positions_km(places(box.top - (4 * row + 0.5) * step, box.left + (4 * column + 0.5) * step)))
    away = distances_km(positions_km(places(latitudes, longitudes)), np.concatenate(outlines))
    outside = np.where(np.isnan(depths), away, np.nan)
    return hstack((interpolation_columns(depths, SLAB_KNOTS_KM), interpolation_columns(outside, OUTSIDE_KNOTS_KM))).tocsr()


def land_shapes() -> list[FloatArray]:
    """Return the rings of land and lakes, (V, 2) longitudes and latitudes each, from the page's topology (delta-coded arcs)."""
    topology: Any = json.loads((ROOT / "stream/serve/page/dist/assets/land-50m.json").read_bytes())
    scale, shift = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + shift for arc in topology["arcs"]]
    geometries = topology["objects"]["land"]["geometries"]
    polygons = [rings for one in geometries for rings in (one["arcs"] if one["type"] == "MultiPolygon" else [one["arcs"]])]
    return [np.concatenate([arcs[i] if i >= 0 else arcs[~i][::-1] for i in ring]) for rings in polygons for ring in rings]


def coast_columns(latitudes: FloatArray, longitudes: FloatArray) -> csr_matrix:
    """Return columns of the distance to the nearest coast, negative at sea."""
    rings = [ring for ring in land_shapes() if len(ring) > 3]
    land = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
    shapely.prepare(land)
    is_land = shapely.intersects_xy(land, longitudes, latitudes)
    coast = np.concatenate([points_along(ring[:, 1], ring[:, 0]) for ring in rings])
    away = distances_km(positions_km(places(latitudes, longitudes)), coast)
    return interpolation_columns(np.where(is_land, away, -away), COAST_KNOTS_KM)


def regime_columns(latitudes: FloatArray, longitudes: FloatArray) -> csr_matrix:
    """Return one column for each regime."""
    with np.load(TECTONICS / "regimes" / "aftershock_regimes_quarter_degree.npz") as saved:
        regimes, count = saved["regime"], len(saved["names"])
    rows, columns = np.rint((latitudes + 90.0) * 4.0).astype(np.int64), np.rint((longitudes + 180.0) * 4.0).astype(np.int64)
    found = regimes[rows, columns]
    return csr_matrix((np.ones(len(found)), (np.arange(len(found)), found)), (len(found), count))


def long_columns(latitudes: FloatArray, longitudes: FloatArray, until: Instant) -> csr_matrix:
    """Return ln of the smoothed rate of large earthquakes since 1900 and since 1965, before a moment, one column each."""
    at, columns = positions_km(places(latitudes, longitudes)), []
    for name, smallest in LONG_CATALOGUES:
        events = [one for one in earthquakes(item for item in read_catalog(CATALOGUES / name) if isinstance(item, Event))
                  if one.time < until and (one.magnitude or 0.0) >= smallest]  # fmt: skip
        sites = positions_km(places(np.array([one.latitude for one in events]), np.array([one.longitude for one in events])))
        columns.append(np.log(smoothed(at, sites, np.full(len(sites), 1.0), LONG_NEIGHBOUR, LONG_NARROWEST_KM)))
    return csr_matrix(np.column_stack(columns) + LOG_MEAN)


def smoothed(at: FloatArray, sites: FloatArray, weights: FloatArray, neighbour: int, narrowest_km: float) -> FloatArray:
    """Return a kernel density of sites, (M, 3) km with weights (M,), at positions (N, 3) km, (N,) 1/km².

    Gaussians as wide as the distance to a nearest neighbour (Helmstetter, Kagan & Jackson 2007, Seismol. Res. Lett. 78, 78–86), with
    1 % even over the Earth.
    """
    widths = np.maximum(cKDTree(sites).query(sites, neighbour + 1)[0][:, -1], narrowest_km)
    kernels = np.column_stack((sites, weights / weights.sum(), widths))
    return BackgroundMap.of(kernels, 4.0 * math.pi * EARTH_RADIUS_KM**2).density(at)


COLUMNS: Mapping[str, Callable[[FloatArray, FloatArray], csr_matrix]] = {
    "boundaries": boundary_columns,
    "slabs": slab_columns,
    "coasts": coast_columns,
    "regimes": regime_columns,
}


def catalogue_path(name: str) -> Path:
    """Return a catalogue's file by its name."""
    return CATALOGUES / name

"""The tectonic regime of a place, and what the USGS assumes of aftershocks there.

`priors/regimes.npz` has the regime of every quarter of a degree (15 classes after García et al. 2012), `priors/priors.json` the parameters
by regime (Page et al. 2016, BSSA 106, 2290–2301) with the four Californian regimes and their polygons, and the completeness after a
mainshock by region. Both are derived from opensha-oaf, commit f9edf35 (https://github.com/opensha/opensha-oaf), which is in the public
domain (CC0).
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely

from ingest.region import polygon_of

FOLDER = Path(__file__).with_name("priors")


class Productivity(msgspec.Struct, frozen=True):
    """Reasenberg and Jones's parameters of a regime: rate(M ≥ m, t) = 10^(a + b (M_main − m)) (t + c)^(−p) a day."""

    regime: str
    a: float
    """The mean of a over sequences."""
    sigma0: float
    sigma1: float
    p: float
    b: float
    c_days: float

    def sigma(self, magnitude: float) -> float:
        """Return the standard deviation of a after a mainshock: σ(M)² = σ0² + σ1 10^(−M)."""
        return math.sqrt(self.sigma0**2 + self.sigma1 * 10.0**-magnitude)


class AftershockCompleteness(msgspec.Struct, frozen=True):
    """From which magnitude a catalogue is complete after a mainshock: Mc(t) = max(F M_main − G − H log10 t, M_cat), t in days."""

    region: str
    f: float
    g: float
    h: float
    catalogue: float
    """M_cat."""

    def magnitude(self, mainshock: float, days: Any) -> Any:
        """Return Mc at some days, (...), after a mainshock of this magnitude."""
        return np.maximum(self.f * mainshock - self.g - self.h * np.log10(np.maximum(days, 1e-9)), self.catalogue)


class _Area(msgspec.Struct, frozen=True):
    """A polygon in which a regime or a completeness holds."""

    name: str
    corners: list[tuple[float, float]]
    """(latitude, longitude), degrees."""


class _Priors(msgspec.Struct, frozen=True):
    """The content of `priors.json`."""

    about: str
    productivities: list[Productivity]
    regime_areas: list[_Area]
    completeness: list[AftershockCompleteness]
    completeness_areas: list[_Area]


def productivity_at(latitude: float, longitude: float) -> Productivity:
    """Return the parameters of a place: those of the first Californian polygon that holds it, else those of its regime."""
    priors, areas, _ = _tables()
    name = _first(areas, latitude, longitude) or _regime_at(latitude, longitude)
    return next(one for one in priors.productivities if one.regime == name)


def completeness_at(latitude: float, longitude: float) -> AftershockCompleteness:
    """Return the completeness after mainshocks at a place: that of the first polygon that holds it, else the world's."""
    priors, _, areas = _tables()
    name = _first(areas, latitude, longitude) or "WORLD"
    return next(one for one in priors.completeness if one.region == name)


def _first(areas: list[tuple[str, shapely.Geometry]], latitude: float, longitude: float) -> str | None:
    return next((name for name, shape in areas if shapely.intersects_xy(shape, longitude, latitude)), None)


def _regime_at(latitude: float, longitude: float) -> str:
    regimes, names = _raster()
    row, column = round((latitude + 90.0) * 4.0), round((longitude + 180.0) * 4.0)
    return names[int(regimes[row, column])]


@cache
def _raster() -> tuple[Any, list[str]]:
    """Return the indices by latitude and longitude, (721, 1441), from −90 and −180 degrees on, and the names."""
    with np.load(FOLDER / "regimes.npz", allow_pickle=False) as saved:
        return saved["regime"], saved["names"].tolist()


@cache
def _tables() -> tuple[_Priors, list[tuple[str, shapely.Geometry]], list[tuple[str, shapely.Geometry]]]:
    priors = msgspec.json.decode((FOLDER / "priors.json").read_bytes(), type=_Priors)
    of_regimes, of_completeness = (
        [(area.name, polygon_of(area.corners)) for area in areas] for areas in (priors.regime_areas, priors.completeness_areas)
    )
    return priors, of_regimes, of_completeness

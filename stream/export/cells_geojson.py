"""GeoJSON (RFC 7946) of a map: a square for each cell, with expected numbers and probabilities as flat properties."""

from __future__ import annotations

from typing import Any

from stream.export.geojson import DECIMALS, encode_collection
from stream.records import DISCLAIMER, GriddedForecast, probability_of_any, rounded, share_from


def map_geojson(forecast: GriddedForecast, magnitude: float) -> bytes:
    """Return a FeatureCollection with one feature per cell.

    Args:
        forecast: the map; its horizons give the properties `expected_1d`, `probability_1d`, `expected_7d`, …
        magnitude: one of `forecast.magnitudes`; the numbers are of events from it on.

    Raises:
        ValueError: the map does not have that magnitude.
    """
    labels = [f"{days:g}d" for days in forecast.horizons_days]
    shares = [share_from(forecast, horizon, magnitude) for horizon in range(len(labels))]
    cells = zip(forecast.cells.south, forecast.cells.west, forecast.cells.size_degrees, zip(*forecast.expected, strict=True), strict=True)
    features = []
    for south, west, size, numbers in cells:
        expected = {label: number * share for label, number, share in zip(labels, numbers, shares, strict=True)}
        properties = {f"expected_{label}": rounded(number) for label, number in expected.items()}
        properties |= {f"probability_{label}": rounded(probability_of_any(number)) for label, number in expected.items()}
        features.append({"type": "Feature", "geometry": _square(south, west, size), "properties": properties})
    metadata = {
        "id": forecast.id, "region": forecast.region, "issued_at": str(forecast.issued_at), "model": forecast.model,
        "magnitude": magnitude, "test": forecast.test,
    }  # fmt: skip
    disclaimer = forecast.disclaimer or DISCLAIMER
    return encode_collection({"type": "FeatureCollection", "disclaimer": disclaimer, "metadata": metadata, "features": features})


def _square(south: float, west: float, size: float) -> dict[str, Any]:
    north, east = round(south + size, DECIMALS), round(west + size, DECIMALS)
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}

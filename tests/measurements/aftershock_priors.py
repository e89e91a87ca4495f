"""Derive `models/sequences/priors` from the tables of the USGS's aftershock forecasts.

    python -m tests.measurements.aftershock_priors

They come with opensha-oaf, which is in the public domain (CC0). `../shared/data/tectonics` has them with the raster of the regimes.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from models.sequences.regimes import FOLDER
from tests.support.paths import RECORDED

ABOUT = (
    "Reasenberg–Jones parameters by tectonic regime and aftershock completeness by region, from GenericRJ_ParametersFetch.json and "
    "MagCompPage_ParametersFetch.json of opensha-oaf, commit f9edf35, CC0 (public domain). Page et al. 2016, doi:10.1785/0120160073."
)


def main() -> None:
    tectonics = RECORDED / "data" / "tectonics"
    files = (tectonics / "aftershock_priors" / f"{name}_ParametersFetch.json" for name in ("GenericRJ", "MagCompPage"))
    productivities, completeness = (json.loads(file.read_text()) for file in files)
    content = {
        "about": ABOUT,
        "productivities": [_productivity(one["regime"].strip(), one["params"]) for one in productivities["regimes"]],
        "regime_areas": _areas(productivities),
        "completeness": [_completeness(one["regime"].strip(), one["params"]) for one in completeness["regimes"]],
        "completeness_areas": _areas(completeness),
    }
    (FOLDER / "priors.json").write_text(json.dumps(content, indent=1) + "\n")
    with np.load(tectonics / "regimes" / "aftershock_regimes_quarter_degree.npz") as raster:
        np.savez_compressed(FOLDER / "regimes.npz", regime=raster["regime"], names=raster["names"])


def _productivity(name: str, given: dict[str, Any]) -> dict[str, Any]:
    names = {"a": "aValue_mean", "sigma1": "aValue_sigma1", "p": "pValue", "b": "bValue", "c_days": "cValue", "sigma0": "aValue_sigma0"}
    return {"regime": name} | {ours: given[theirs] for ours, theirs in names.items()}


def _completeness(name: str, given: dict[str, Any]) -> dict[str, Any]:
    function = given["magCompFn"]
    return {"region": name, "f": function["capF"], "g": function["capG"], "h": function["capH"], "catalogue": given["magCat"]}


def _areas(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": one["regime"].strip(), "corners": [[corner["lat"], corner["lon"]] for corner in one["region"]["vertex_list"]]}
        for one in table["regions"]
    ]


if __name__ == "__main__":
    main()

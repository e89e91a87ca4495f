"""The gain in place by the CNN on the benchmark catalogues, beside the forecaster without it, ETAS, a smoothed map and a uniform one.

    python -m tests.measurements.cnn_skill --models FOLDER                      every catalogue, three seeds of the CNN
    python -m tests.measurements.cnn_skill SanJac_10 --models FOLDER --seeds 1  one of them

FOLDER holds the forecasters, as `python -m tests.measurements.skill --models FOLDER` writes them. Scores are mean ln(1/km²) per event
of the validation span, gains with 95 % intervals (a paired bootstrap over blocks of time).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.artifact.model_files import read_forecaster
from models.baselines.etas.background import BackgroundMap
from models.catalog.datasets import RegionDataset
from models.cnn.train import MapOptions, fit_map_network, map_training_data
from models.forecaster.scored import SpaceTimeModel
from models.numerics.arrays import FloatArray
from models.scoring.scores import bootstrap_interval
from models.space_time import require_place
from tests.measurements.skill import BENCHMARKS, DATA, baselines_of, dataset_of

NO_ENDS = np.empty(0, np.int64)


def place_scores(model: Any, dataset: RegionDataset) -> FloatArray:
    scores: FloatArray = model.score_events(dataset.pattern, dataset.validation).place_log_prob
    return scores


def smoothed_map_scores(dataset: RegionDataset) -> FloatArray:
    """Score the map of the training span's events, Gaussians as wide as the distance to the tenth neighbour (Helmstetter et al. 2007).

    Returns:
        (n,) ln density at the events of the validation span, ln(1/km²).
    """
    pattern, rows = dataset.pattern, dataset.pattern.rows(dataset.validation)
    before = slice(0, pattern.rows(dataset.train).stop)
    known = pattern.positions_km[before]
    from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

    widths = np.maximum(cKDTree(known).query(known, 11)[0][:, -1], 0.5)
    kernels = np.column_stack((known, np.full(len(known), 1.0 / len(known)), widths))
    density: FloatArray = BackgroundMap.of(kernels, pattern.area_km2).density(pattern.positions_km[rows])
    return np.log(np.maximum(density, 1e-3 / pattern.area_km2))


def report(name: str, seeds: int, models: Path, data: Path) -> dict[str, Any]:
    """Return the scores of one catalogue."""
    dataset = dataset_of(name, data)
    dataset = dataset._replace(pattern=dataset.pattern.before(dataset.validation.end), region="", catalogue=name)
    base, card = read_forecaster(models / f"{name}-0")
    times = dataset.pattern.times[dataset.pattern.rows(dataset.validation)]
    plain = place_scores(SpaceTimeModel(base, card.name), dataset)
    found: dict[str, Any] = {
        "without": float(plain.mean()),
        "etas": float(place_scores(baselines_of(dataset, name, data)["etas"], dataset).mean()),
        "smoothed": float(smoothed_map_scores(dataset).mean()),
        "uniform": -math.log(dataset.pattern.area_km2),
    }
    began = time.monotonic()
    targets = map_training_data(base, [dataset], MapOptions())
    found["preparing_seconds"], found["seeds"] = round(time.monotonic() - began), []
    for seed in range(seeds):
        began = time.monotonic()
        network, scores = fit_map_network(require_place(base), targets, MapOptions(), seed)
        with_maps = place_scores(SpaceTimeModel(base, card.name, None, network), dataset)
        own = {"place": float(with_maps.mean()), "gain": bootstrap_interval(with_maps - plain, times, NO_ENDS)}
        found["seeds"].append(own | {"magnitude_gain": scores["magnitude_gain"], "seconds": round(time.monotonic() - began)})
    return found


def main() -> None:
    """Print each catalogue's row, and its numbers as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], default=list(BENCHMARKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        found = report(name, given.seeds, given.models, given.data)
        gains = [one["gain"] for one in found["seeds"]]
        shown = "  ".join(f"{gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]" for gain in gains)
        others = "  ".join(f"{key} {found[key]:.3f}" for key in ("without", "etas", "smoothed", "uniform"))
        print(f"{name:14} {others}   gain by seed {shown}", flush=True)
        print(json.dumps({"catalogue": name} | found), flush=True)


if __name__ == "__main__":
    main()

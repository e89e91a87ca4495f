"""What the CNN adds to the places: the benchmark catalogues, beside the forecaster without it, ETAS, the smoothed past and a uniform map.

    python -m tests.measurements.cnn_skill --models FOLDER                      every catalogue, three seeds of the CNN
    python -m tests.measurements.cnn_skill SanJac_10 --models FOLDER --seeds 1  one of them

FOLDER holds the forecasters, as `python -m tests.measurements.skill --models FOLDER` leaves them. Scores are mean ln(1/km²) per event
of the validation
span, gains with their 95 % intervals (a paired bootstrap over blocks of time).
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
from tests.measurements.skill import BENCHMARKS, DATA, baselines_of, lesson_of

NO_ENDS = np.empty(0, np.int64)


def places(model: Any, lesson: RegionDataset) -> FloatArray:
    found: FloatArray = model.outcomes(lesson.pattern, lesson.validation).place_log_prob
    return found


def smoothed(lesson: RegionDataset) -> FloatArray:
    """The training span's events, each with a Gaussian as wide as the distance to its tenth neighbour (Helmstetter et al. 2007)."""
    pattern, rows = lesson.pattern, lesson.pattern.rows(lesson.validation)
    before = slice(0, pattern.rows(lesson.train).stop)
    known = pattern.positions_km[before]
    from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

    widths = np.maximum(cKDTree(known).query(known, 11)[0][:, -1], 0.5)
    kernels = np.column_stack((known, np.full(len(known), 1.0 / len(known)), widths))
    density: FloatArray = BackgroundMap.of(kernels, pattern.area_km2).density(pattern.positions_km[rows])
    return np.log(np.maximum(density, 1e-3 / pattern.area_km2))


def report(name: str, seeds: int, models: Path, data: Path) -> dict[str, Any]:
    """One catalogue."""
    lesson = lesson_of(name, data)
    lesson = lesson._replace(pattern=lesson.pattern.before(lesson.validation.end), region="", catalogue=name)
    base, card = read_forecaster(models / f"{name}-0")
    came = lesson.pattern.times[lesson.pattern.rows(lesson.validation)]
    plain = places(SpaceTimeModel(base, card.name), lesson)
    found: dict[str, Any] = {
        "without": float(plain.mean()),
        "etas": float(places(baselines_of(lesson, name, data)["etas"], lesson).mean()),
        "smoothed": float(smoothed(lesson).mean()),
        "uniform": -math.log(lesson.pattern.area_km2),
    }
    began = time.monotonic()
    targets = map_training_data(base, [lesson], MapOptions())
    found["preparing_seconds"], found["seeds"] = round(time.monotonic() - began), []
    for seed in range(seeds):
        began = time.monotonic()
        network, scores = fit_map_network(require_place(base), targets, MapOptions(), seed)
        with_maps = places(SpaceTimeModel(base, card.name, None, network), lesson)
        own = {"place": float(with_maps.mean()), "gain": bootstrap_interval(with_maps - plain, came, NO_ENDS)}
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

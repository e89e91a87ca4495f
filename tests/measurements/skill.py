"""The skill table: train on each benchmark catalogue, and score the model beside the baselines, the floor and the aim.

    make skill                                        every catalogue, three seeds: an hour or two on two cores
    python -m tests.measurements.skill SanJac_10 --seeds 1         one of them
    python -m tests.measurements.skill --held-back                 score the test spans too: only once, after the last choice

The catalogues are those of EarthquakeNPP (Stockman et al. 2024), read from the folder `shared/data/benchmark` beside the checkout or from
`--data`; they are not part of this project.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ingest.instant import Instant
from models.artifact.model_files import read_forecaster
from models.baselines.etas.model import Etas
from models.baselines.poisson import fit_poisson
from models.catalog.cleaning import newest_versions
from models.catalog.datasets import RegionDataset, SplitDates, read_events, single_region_dataset
from models.forecaster.scored import SpaceTimeModel
from models.pipeline.publish_forecaster import publish_lstm
from models.pipeline.train_forecaster import ForecasterOptions
from models.scoring.scored_model import ScoredModel
from models.scoring.scores import score_report, score_trial
from tests.support.paths import RECORDED

DATA = RECORDED / "data" / "benchmark"
SHOWN = ("time", "place", "magnitude gain", "time KS", "in 90 %", "seconds")


class Benchmark(NamedTuple):
    """A catalogue's completeness, polygon and years, and the scores to reach on its validation span (floor, aim)."""

    magnitude_of_completeness: float
    polygon: str
    history: int
    train: int
    validation: int
    test: int
    end: int
    narrowest_km: float
    time: tuple[float, float]
    place: tuple[float, float]
    magnitude_gain: tuple[float, float]


BENCHMARKS = {
    "ComCat_25": Benchmark(2.5, "california_shape", 1971, 1981, 1998, 2007, 2020, 0.1, (1.064, 1.09), (-8.56, -8.45), (0.012, 0.02)),
    "SCEDC_20": Benchmark(2.0, "SCEDC_shape", 1981, 1985, 2005, 2014, 2020, 0.1, (2.010, 2.03), (-8.13, -8.00), (0.023, 0.04)),
    "SaltonSea_10": Benchmark(1.0, "SaltonSea_shape", 2008, 2009, 2014, 2016, 2018, 0.05, (1.154, 1.18), (-2.86, -2.75), (0.021, 0.03)),
    "SanJac_10": Benchmark(1.0, "SanJac_shape", 2008, 2009, 2014, 2016, 2018, 0.05, (0.689, 0.71), (-5.27, -5.17), (0.005, 0.01)),
    "WHITE_06": Benchmark(0.6, "WHITE_shape", 2008, 2009, 2014, 2017, 2021, 0.05, (1.800, 1.84), (-4.95, -4.85), (0.020, 0.03)),
}


def dataset_of(name: str, data: Path) -> RegionDataset:
    """Return a benchmark catalogue as a dataset, its years divided as in the benchmark."""
    own = BENCHMARKS[name]
    history, train, validation, test, end = (Instant.parse(f"{year}-01-01") for year in own[2:7])
    events = newest_versions(read_events([data / f"{name}.csv.xz"]))
    years = SplitDates(history, train, validation, test, end)
    return single_region_dataset(events, own.magnitude_of_completeness, data / f"{own.polygon}.npy", years, name)


def train_and_score(name: str, dataset: RegionDataset, seed: int, folder: Path, data: Path) -> tuple[Path, dict[str, Any], float]:
    """Train a model, and return its folder, its scores on the validation span, and the seconds of the training.

    Baselines: Poisson and Gutenberg–Richter of the training span, and the published ETAS.
    """
    folder_of_model = folder / f"{name}-{seed}"
    known = dataset._replace(pattern=dataset.pattern.before(dataset.validation.end), region="", catalogue=name)
    options = ForecasterOptions(seed=seed, narrowest_km=BENCHMARKS[name].narrowest_km)
    card = publish_lstm([known], folder_of_model, options, lambda *_: None, fit_baselines=lambda one: baselines_of(one, name, data))
    return folder_of_model, card.scores["validation"], float(card.training["seconds"])


def baselines_of(dataset: RegionDataset, name: str, data: Path) -> dict[str, ScoredModel]:
    """Return the baselines that the model is compared with."""
    poisson = fit_poisson(dataset.pattern, dataset.train)
    return {"poisson": poisson, "etas": Etas.load(data / "etas_parameters.json", name, poisson.magnitudes)}


def score_held_back(model: Path, dataset: RegionDataset, name: str, data: Path) -> dict[str, Any]:
    """Return the scores of a model's folder on the test span."""
    network, card = read_forecaster(model)
    return score_report([score_trial(SpaceTimeModel(network, card.name), dataset.pattern, dataset.test, baselines_of(dataset, name, data))])


def row(report: dict[str, Any], seconds: float) -> dict[str, float]:
    """Return the columns of the table from a report."""
    values = (
        report["time_log_likelihood"], report["place_log_likelihood"], report["gain_over_gutenberg_richter"]["mean"],
        report["pit_time_ks"], report["coverage_90"], seconds,
    )  # fmt: skip
    return dict(zip(SHOWN, values, strict=True))


def main() -> None:
    """Print the table, and each score as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], default=list(BENCHMARKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--held-back", action="store_true")
    parser.add_argument("--models", type=Path, help="folder that keeps the trained models; without it they are deleted")
    given = parser.parse_args()
    if not given.data.is_dir():
        parser.error(f"no benchmark catalogues in {given.data}; name their folder with --data")
    print(f"{'':32}" + "".join(f"{name:>16}" for name in SHOWN))
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.names:
            _measure_catalogue(name, given, given.models or Path(temporary))


def _measure_catalogue(name: str, given: argparse.Namespace, folder: Path) -> None:
    dataset, own = dataset_of(name, given.data), BENCHMARKS[name]
    tested = given.held_back and dataset.pattern.rows(dataset.test).stop > dataset.pattern.rows(dataset.test).start
    rows: dict[str, list[dict[str, float]]] = {"validation": [], "test": []}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        model, report, seconds = train_and_score(name, dataset, seed, folder, given.data)
        reports = {"validation": report} | ({"test": score_held_back(model, dataset, name, given.data)} if tested else {})
        for part, found in reports.items():
            rows[part].append(row(found, seconds))
            scores = {key: value for key, value in found.items() if "histogram" not in key and key != "baselines"}
            print(json.dumps({"catalogue": name, "seed": seed, "span": part} | scores), flush=True)
    for part, each in rows.items():
        if each:
            means = {column: float(np.mean([one[column] for one in each])) for column in SHOWN}
            print(f"{name + ' ' + part:32}" + "".join(f"{value:16.4f}" for value in means.values()), flush=True)
    for level, wanted in zip(("floor", "aim"), zip(own.time, own.place, own.magnitude_gain, strict=True), strict=True):
        print(f"{'  validation, ' + level:32}" + "".join(f"{value:16.4f}" for value in wanted), flush=True)


if __name__ == "__main__":
    main()

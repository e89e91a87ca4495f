"""The table of generated sequences: train the generator, and compare its sequences with those of ETAS and with real ones.

    python -m tests.measurements.gan_skill                         three seeds, sequences of 2012 and 2013, in half an hour
    python -m tests.measurements.gan_skill --held-back             those from 2014 on: only once, after the last choice
    python -m tests.measurements.gan_skill --ablation SanJac_10    forecaster and CNN with and without generated sequences in their training

The sequences of 2012 and 2013 select the training step. All catalogues are divided at the same dates, because an earthquake of the test
years of one must not be in the training years of another. ETAS is fitted on other years than the test: with its published parameters for
SCEDC and Salton Sea (fitted on their validation years, too), with our own fits elsewhere. Mainshocks after which a simulation of ETAS has
no end are left out for both. Data are read from `shared/data` beside the checkout or from `--data`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from models.baselines.etas.fit import fit_etas
from models.baselines.etas.model import Etas
from models.baselines.gutenberg_richter import fit_gutenberg_richter
from models.catalog.cleaning import earthquakes, newest_versions
from models.catalog.datasets import RegionDataset, SplitDates, read_events, single_region_dataset
from models.catalog.point_pattern import Span
from models.cnn.train import fit_maps
from models.forecaster.scored import SpaceTimeModel
from models.gan.condition import EarlierEvents
from models.gan.evaluation.comparison import as_sequence, compare
from models.gan.evaluation.etas_reference import etas_sequences
from models.gan.networks import SequenceGenerator
from models.gan.sequences import AftershockSequence, held_out_sequences, training_sequences
from models.gan.train import GanOptions, fit_sequences
from models.pipeline.train_forecaster import ForecasterOptions, train_forecaster
from models.scoring.scores import score_report, score_trial
from tests.measurements.augmentation import augment
from tests.measurements.skill import BENCHMARKS, dataset_of
from tests.support.paths import RECORDED

DATA = RECORDED / "data"
VALIDATION, TEST = "2012-01-01", "2014-01-01"
EACH = 10
"""Generated sequences for each mainshock."""


class Catalogue(NamedTuple):
    """The files of a catalogue, its completeness (None: that of the benchmark), and the dates of its begin, training and end."""

    files: tuple[str, ...]
    magnitude_of_completeness: float | None
    history: str
    start: str
    end: str


_GLOBAL = tuple(f"global_m45_{years}" for years in ("2012_2013", "2013_2014", "2014_2015", "2015_2016", "2016_2017", "2017_2018"))
CATALOGUES = {
    "ComCat_25": Catalogue((), None, "1971-01-01", "1981-01-01", "2014-01-02"),
    "SCEDC_20": Catalogue((), None, "1981-01-01", "1985-01-01", "2014-01-02"),
    "SaltonSea_10": Catalogue((), None, "2008-01-01", "2008-06-01", "2016-01-01"),
    "SanJac_10": Catalogue((), None, "2008-01-01", "2008-06-01", "2018-01-01"),
    "WHITE_06": Catalogue((), None, "2008-01-01", "2008-06-01", "2021-01-01"),
    "global_2011": Catalogue(("global_m45_2011",), 4.5, "2011-01-01", "2011-01-01", "2012-01-01"),
    "global_2013": Catalogue(_GLOBAL, 4.5, "2012-11-29", "2012-11-29", "2018-12-01"),
    "japan": Catalogue(("japan_m4_2000_2021",), 4.5, "2000-01-01", "2000-06-01", "2022-01-01"),
    "california": Catalogue(("california_m25_2015_2025_until_2022",), 2.5, "2015-01-01", "2015-01-01", "2022-01-01"),
    "indonesia": Catalogue(("indonesia_m29_2005_2010",), 4.5, "2005-01-01", "2005-01-01", "2011-01-01"),
}
PUBLISHED = ("SCEDC_20", "SaltonSea_10")
ETAS = {
    "SanJac_10": ("SanJac_10", "2008-06-01", "2012-01-01"),
    "WHITE_06": ("WHITE_06", "2008-06-01", "2012-01-01"),
    "japan": ("japan", "2000-06-01", "2012-01-01"),
    "california": ("ComCat_25", "1992-01-01", "2006-12-31"),
    "global_2013": ("global_2013", "2013-01-15", "2014-01-01"),
}
"""By catalogue: the catalogue and the dates between which its ETAS is fitted."""


def datasets_of(data: Path) -> list[RegionDataset]:
    """Return all catalogues as datasets, divided at the same dates."""
    return [_dataset(name, one, data) for name, one in CATALOGUES.items()]


def _dataset(name: str, one: Catalogue, data: Path) -> RegionDataset:
    start = min(Instant.parse(one.start), Instant.parse(VALIDATION))
    years = SplitDates(Instant.parse(one.history), start, Instant.parse(VALIDATION), Instant.parse(TEST), Instant.parse(one.end))
    if one.magnitude_of_completeness is not None:
        events = earthquakes(read_events([data / "catalogs" / f"{file}.csv.xz" for file in one.files]))
        return single_region_dataset(events, one.magnitude_of_completeness, None, years, name)
    own = BENCHMARKS[name]
    events = newest_versions(read_events([data / "benchmark" / f"{name}.csv.xz"]))
    return single_region_dataset(events, own.magnitude_of_completeness, data / "benchmark" / f"{own.polygon}.npy", years, name)


def etas_of(datasets: dict[str, RegionDataset], data: Path) -> dict[str, Etas]:
    """Return the ETAS model of each catalogue."""
    models = {}
    for name in PUBLISHED:
        law = fit_gutenberg_richter(datasets[name].pattern, datasets[name].train)
        models[name] = Etas.load(data / "benchmark" / "etas_parameters.json", name, law)
    for name, (source, start, end) in ETAS.items():
        models[name] = fit_etas(datasets[source].pattern, Span(Instant.parse(start), Instant.parse(end)))
    return models


def simulate_by_etas(
    datasets: dict[str, RegionDataset], part: str, etas: dict[str, Etas]
) -> tuple[list[AftershockSequence], list[list[AftershockSequence]]]:
    """Return the real sequences of a part, and ETAS simulations for each; print how many were left out."""
    real, made, endless = list[AftershockSequence](), list[list[AftershockSequence]](), 0
    for name, dataset in datasets.items():
        past = EarlierEvents(dataset.pattern)
        for one in held_out_sequences([dataset], part):
            try:
                made.append(etas_sequences(etas[name], past, one, EACH, 1))
                real.append(one)
            except Problem:
                endless += 1
    print(f"{part}: {len(real)} sequences; {endless} left out, for ETAS has no end after them", flush=True)
    return real, made


def generate(generator: SequenceGenerator, real: list[AftershockSequence]) -> list[list[AftershockSequence]]:
    """Return generated sequences for each real sequence."""
    days = generator.architecture.days
    return [[as_sequence(made, one) for made in generator.sample(one.condition, EACH, days, k)] for k, one in enumerate(real)]


def ablation(name: str, datasets: list[RegionDataset], share: float, seeds: int, data: Path) -> None:
    """Print validation scores of the forecaster and of the CNN, with and without generated sequences in the training."""
    dataset = dataset_of(name, data / "benchmark")
    dataset = dataset._replace(pattern=dataset.pattern.before(dataset.validation.end), region="", catalogue=name)
    training = [one for one in training_sequences(datasets) if one.moment < dataset.validation.start.plus(days=-GanOptions().days)]
    generator, _, _ = fit_sequences(training, training[::10], GanOptions(), 0)
    for seed in range(seeds):
        made = augment(dataset, generator, share, seed)
        networks = []
        for more in ([], made):
            network, _ = train_forecaster(
                [dataset, *more], ForecasterOptions(seed=seed, narrowest_km=BENCHMARKS[name].narrowest_km), lambda *_: None
            )
            networks.append(network)
            found = score_report([score_trial(SpaceTimeModel(network, "lstm"), dataset.pattern, dataset.validation, {})])
            likelihoods = {key: found[f"{key}_log_likelihood"] for key in ("time", "magnitude", "place")}
            print(json.dumps({"catalogue": name, "model": "lstm", "seed": seed, "made lessons": len(more)} | likelihoods), flush=True)
        for more in ([], made):
            _, scores = fit_maps(networks[0], [dataset, *more], seed=seed)
            print(json.dumps({"catalogue": name, "model": "cnn", "seed": seed, "made lessons": len(more)} | scores), flush=True)


def main() -> None:
    """Print the table, and each comparison as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=GanOptions().steps)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--held-back", action="store_true")
    parser.add_argument("--ablation", choices=list(BENCHMARKS))
    parser.add_argument("--share", type=float, default=0.5, help="made events for each real one, in the ablation")
    given = parser.parse_args()
    torch.set_num_threads(1)
    datasets = datasets_of(given.data)
    if given.ablation:
        ablation(given.ablation, datasets, given.share, given.seeds, given.data)
        return
    named = {dataset.catalogue: dataset for dataset in datasets}
    part = "test" if given.held_back else "validation"
    real, made = simulate_by_etas(named, part, etas_of(named, given.data))
    training, validation = training_sequences(datasets), held_out_sequences(datasets, "validation")
    simulated = {"etas": made}
    for seed in range(given.seeds):
        options = msgspec.structs.replace(GanOptions(), steps=given.steps)
        generator, scores, _ = fit_sequences(training, validation, options, seed)
        print(json.dumps({"seed": seed} | scores), flush=True)
        simulated[f"gan {seed}"] = generate(generator, real)
    print_table(compare(real, simulated))


def print_table(compared: dict[str, Any]) -> None:
    """Print a line for each simulator, then everything as JSON."""
    measures = list(next(iter(compared["makers"].values()))["distances"])
    columns = ("AUC", *measures, "count score", "recall", "coverage", "diversity")
    print(f"{'':12}" + "".join(f"{name:>15}" for name in columns))
    for name, found in compared["makers"].items():
        modes, distances = found["modes"], [found["distances"][measure]["wasserstein"] for measure in measures]
        values = (
            found["classifier"]["auc"],
            *distances,
            found["count_score"],
            modes["recall"],
            modes["coverage"],
            modes["diversity_count"],
        )
        print(f"{name:12}" + "".join(f"{value:15.3f}" for value in values))
    print(json.dumps(compared, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()

"""Whether the channels of the CNN improve the forecaster's times and magnitudes, on the benchmark catalogues.

    python -m tests.measurements.context_ablation SanJac_10 SaltonSea_10 --models FOLDER

FOLDER holds the forecasters, as `python -m tests.measurements.skill --models FOLDER` writes them; their weights are frozen. The inputs of
a small network are the channels of the maps at the event's cells (counts over expected counts, rates, moments, magnitudes, depths). It
multiplies the rate after an event (time) or shifts the outputs of the magnitude network before it (magnitude). At first it changes
nothing; the validation span selects the epoch, epoch 0 included. The control has the channels shuffled among the events: the gain that
an input without information seems to have by this selection. Nats per event, 95 % intervals by a paired bootstrap over blocks of time.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.artifact.model_files import read_forecaster
from models.catalog.datasets import RegionDataset
from models.catalog.magnitude_rounding import common_step
from models.cnn.grid import grid_over
from models.cnn.targets import channels_at
from models.magnitude.catalog_features import magnitude_features
from models.magnitude.network import MagnitudeNetwork
from models.numerics.arrays import FloatArray
from models.scoring.scores import bootstrap_interval
from models.space_time import SpaceTimeNetwork
from models.timing.inter_event_time import InterEventTime
from models.timing.sequence_rows import intervals_of
from tests.measurements.skill import BENCHMARKS, DATA, dataset_of

SIDE, AT_ONCE = 24, 512
HIDDEN, EPOCHS, BATCH, RATE, DECAY = 16, 20, 512, 2e-3, 0.1
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(corrections, rows) -> (rows,) ln p."""


def contexts(base: SpaceTimeNetwork, dataset: RegionDataset, rows: slice, *, after: bool) -> torch.Tensor:
    """Return the channels of the maps at the events' own cells, right after or right before the events: (n, channels)."""
    pattern = dataset.pattern.before(dataset.validation.end)
    weights = base.timing.evaluate(pattern).event_weights
    background = float(base.timing.kernels.background.detach()[0])
    before = pattern.before(dataset.train.end)
    grid = grid_over(before.latitudes, before.longitudes, SIDE)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    pieces = []
    for low in range(rows.start, rows.stop, AT_ONCE):
        events = np.arange(low, min(low + AT_ONCE, rows.stop))
        seen = channels_at(grid, pattern, weights, background, events + int(after), pattern.days[events])
        drawn = np.take_along_axis(seen, cells[events][:, None, :], 2).astype(np.float64)  # (b, channels, 4)
        pieces.append((drawn * parts[events][:, None, :]).sum(2))
    return torch.from_numpy(np.concatenate(pieces))


def time_scores(base: SpaceTimeNetwork, dataset: RegionDataset, span_name: str) -> tuple[slice, Score]:
    """Return the events whose next wait is scored, and the score as a function of a correction of the ln rate."""
    pattern, span = dataset.pattern.before(dataset.validation.end), getattr(dataset, span_name)
    background = float(base.timing.kernels.background.detach()[0])
    part = intervals_of(pattern, span)
    chosen = np.flatnonzero((part.rows > 0) & part.has_event)
    waits = base.timing.waits(base.timing.evaluate(pattern), background).of_rows(part.rows[chosen]).given_silence(part.elapsed_days[chosen])
    names = ("excitation", "background", "log_exponential", "log_weights", "means", "log_sigmas", "elapsed")
    tensors = [torch.from_numpy(np.ascontiguousarray(getattr(waits, name))) for name in names]
    lasted = torch.from_numpy(part.waits_days[chosen])

    def score(corrections: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        after, rate, exponential, weights, means, sigmas, elapsed = (one[rows] for one in tensors)
        factor, taus = torch.exp(corrections[:, 0]), torch.from_numpy(waits.taus)
        wait = InterEventTime(after * factor[:, None], rate * factor, taus, exponential, weights, means, sigmas, elapsed)
        found: torch.Tensor = wait.log_prob(lasted[rows])
        return found

    events = part.rows[chosen] - 1
    return slice(int(events[0]), int(events[-1]) + 1), score


def magnitude_scores(network: MagnitudeNetwork, base: SpaceTimeNetwork, dataset: RegionDataset, span_name: str) -> tuple[slice, Score]:
    """Return the events, and the score as a function of a correction of the outputs."""
    pattern, rows = dataset.pattern.before(dataset.validation.end), dataset.pattern.rows(getattr(dataset, span_name))
    half_bin = common_step(pattern.magnitudes[: dataset.pattern.rows(dataset.train).stop]) / 2.0
    features = magnitude_features(pattern, base.architecture.magnitude_reach, base.architecture.neighbour_reach)[rows]
    with torch.no_grad():
        outputs = network(network.scaled(torch.from_numpy(features)))
    excesses = torch.from_numpy(pattern.excesses[rows] + half_bin)

    def score(corrections: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        law = network.of_outputs(outputs[chosen] + corrections, pattern.magnitude_of_completeness)
        found: torch.Tensor = law.log_prob(excesses[chosen])
        return found

    return rows, score


def fit_correction(train: tuple[torch.Tensor, Score], validation: tuple[torch.Tensor, Score], outputs: int, seed: int) -> FloatArray:
    """Fit the correction, and return by how much it increases the scores of the validation events, (n,)."""
    torch.manual_seed(seed)
    mean, spread = train[0].mean(0), train[0].std(0) + 1e-3
    learned, checked = (((one - mean) / spread).clamp(-5.0, 5.0) for one in (train[0], validation[0]))
    network = nn.Sequential(nn.Dropout(0.1), nn.Linear(learned.shape[1], HIDDEN), nn.GELU(), nn.Linear(HIDDEN, outputs)).double()
    for value in network[-1].parameters():
        nn.init.zeros_(value)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    every, best, best_weights = torch.arange(len(checked)), -np.inf, copy.deepcopy(network.state_dict())

    def validation_scores() -> torch.Tensor:
        network.eval()
        with torch.no_grad():
            return validation[1](network(checked), every)

    start = validation_scores()
    for _ in range(EPOCHS):
        network.train()
        for rows in torch.split(torch.randperm(len(learned)), BATCH):
            loss = -train[1](network(learned[rows]), rows).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            optimizer.step()
        reached = float(validation_scores().mean())
        if reached > max(best, float(start.mean())):
            best, best_weights = reached, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)
    found: FloatArray = (validation_scores() - start).numpy() if best > -np.inf else np.zeros(len(checked))
    return found


def gains(name: str, models: Path, data: Path, seeds: int) -> dict[str, Any]:
    """Return the gains of each seed on one catalogue, by head, with the channels and with shuffled ones."""
    dataset = dataset_of(name, data)
    base, _ = read_forecaster(models / f"{name}-0")
    times = dataset.pattern.times
    found: dict[str, Any] = {}
    for head in ("time", "magnitude"):
        sides = []
        for span in ("train", "validation"):
            rows, score = time_scores(base, dataset, span) if head == "time" else magnitude_scores(base.magnitude, base, dataset, span)
            sides.append((rows, score, contexts(base, dataset, rows, after=head == "time")))
        outputs = 1 if head == "time" else base.magnitude.last.out_features
        event_times = times[sides[1][0]]
        for kind in ("context", "shuffled"):
            rowsets = []
            for seed in range(seeds):
                shuffle = torch.Generator().manual_seed(seed)
                inputs = [one if kind == "context" else one[torch.randperm(len(one), generator=shuffle)] for _, _, one in sides]
                difference = fit_correction((inputs[0], sides[0][1]), (inputs[1], sides[1][1]), outputs, seed)
                rowsets.append(bootstrap_interval(difference, event_times, np.empty(0, np.int64)))
            found[f"{head} {kind}"] = rowsets
    return found


def main() -> None:
    """Print a line a catalogue and head, and the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=list(BENCHMARKS))
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        found = gains(name, given.models, given.data, given.seeds)
        for what, each in found.items():
            shown = "  ".join(f"{one['mean']:+.4f} [{one['low']:+.4f}, {one['high']:+.4f}]" for one in each)
            print(f"{name:14}{what:20} {shown}", flush=True)
        print(json.dumps({"catalogue": name} | found), flush=True)


if __name__ == "__main__":
    main()

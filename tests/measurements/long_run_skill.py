"""What the long-run map adds to the mixture of the maps: ln density in the cells where events came, with it over without it.

    python -m tests.measurements.long_run_skill

Weights are fitted on six moments, and scored on six later ones, each with its window as the stream has it; 95 % intervals by a bootstrap
over the maps of regions and moments.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch

from ingest.instant import Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster
from models.maps.fit import EVEN, Sample, events_by_region, moments_of, parts_at, samples_of, weights_of
from models.maps.live import NetworkMapMaker
from models.maps.mixture import COMPONENTS
from models.numerics import FloatArray
from models.tectonics import is_dense
from stream.maps import HORIZONS_DAYS
from tests.support.paths import RECORDED

FEED = RECORDED / "data" / "feed" / "catalog"
FITTED, SCORED = ("2022-07-15", "2023-05-11"), ("2023-07-10", "2024-05-20")
EVERY_DAYS = 60.0
OTHERS = [row for row, name in enumerate(COMPONENTS) if name != "long_run"]
RESAMPLES = 2_000
Samples = dict[tuple[bool, float], list[Sample]]


def main() -> None:
    torch.set_num_threads(1)
    network, card = read_forecaster(None)
    maker, table = NetworkMapMaker(network, card.name, EVEN), RegionTable.load()
    fitted, scored = (samples_between(maker, table, *span) for span in (FITTED, SCORED))
    for (dense, days), samples in sorted(fitted.items()):
        later = scored[dense, days]
        gains, weights = gains_of(samples, later)
        counts, sums = np.array([len(one) for one in gains]), np.array([one.sum() for one in gains])
        drawn = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
        low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
        print(f"dense {dense}, {days:g} days: {len(samples)} and {len(later)} maps, {counts.sum()} events, weights {weights.round(3)}, "
              f"gain {sums.sum() / counts.sum():+.3f} ({low:+.3f} … {high:+.3f})", flush=True)  # fmt: skip


def samples_between(maker: NetworkMapMaker, table: RegionTable, start: str, until: str) -> Samples:
    """Return the samples of all regions, by whether they are dense and by horizon."""
    moments, found = moments_of(Instant.parse(start), Instant.parse(until), EVERY_DAYS), defaultdict(list)
    for name, events in events_by_region(table, sorted(FEED.glob("*.csv.xz"))).items():
        for moment in moments:
            parts = parts_at(maker, table, table[name], events, moment)
            for days, sample in samples_of(parts, events, moment) if parts else ():
                found[is_dense(table[name].magnitude_of_completeness), days].append(sample)
    return {key: samples for key, samples in found.items() if key[1] < HORIZONS_DAYS[-1]}


def gains_of(fitted: list[Sample], scored: list[Sample]) -> tuple[list[FloatArray], FloatArray]:
    """Return the gain at each event of the scored maps, and the weights with the long-run map."""
    without = [one._replace(densities=one.densities[OTHERS]) for one in fitted]
    weights, fewer = weights_of(fitted), weights_of(without)
    return [np.log(weights @ one.densities) - np.log(fewer @ one.densities[OTHERS]) for one in scored], weights


if __name__ == "__main__":
    main()

"""How long the longest paths of an outlook become: the hour after the largest earthquakes of the world's catalogue, 2014 to 2020.

    python -m tests.measurements.longest_paths              the built-in forecaster, M 8 and larger: two minutes
    python -m tests.measurements.longest_paths --magnitude 7.8 --model FOLDER

The month is simulated as for outlooks, 500 paths of which the longest ten leave the network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ingest.instant import Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster
from models.baselines import read_rates
from models.catalog import Span
from models.magnitude import BackgroundTail
from models.sequences import Moment, find_mainshocks
from models.simulation import live_history, start_at
from models.simulation.outlook import MONTH_DAYS, MOST_EVENTS, STOP_SHARE, continue_by_kernels, join_ends, network_events
from models.simulation.rollout import RolloutSettings
from models.simulation.rollout.block import blocks_of, simulate_block
from models.space_time import SpaceTimeNetwork
from tests.measurements.sequence_skill import read, sources

YEARS = Span(Instant.parse("2014-01-01"), Instant.parse("2020-11-01"))
PATHS, SEED = 500, 1
DAYS = (1.0, 7.0, 30.0)


def counts_after(network: SpaceTimeNetwork, moment: Moment) -> list[np.ndarray]:
    """Return the number of events of each path within each of `DAYS`, (PATHS,) sorted."""
    region = moment.mainshock.region
    background = network.timing.background_of(region.id)
    history = live_history(network, moment.window_pattern(), background)
    start, levels = start_at(history, moment.now), (region.magnitude_of_completeness,)
    tail = BackgroundTail.of_region(read_rates(), region, background)
    settings = RolloutSettings(network, start, background, moment.now, MONTH_DAYS, SEED, None, MOST_EVENTS, levels, STOP_SHARE, tail)
    month = [simulate_block(settings, number, paths) for number, paths in enumerate(blocks_of(PATHS))]
    rest = continue_by_kernels(history, start, join_ends([block.ends for block in month]), background, levels, SEED, tail)
    events = [*network_events(month), *rest.events]
    paths, days = (np.concatenate([getattr(one, column) for one in events]) for column in ("paths", "days"))
    return [np.sort(np.bincount(paths[days <= length], minlength=PATHS)) for length in DAYS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a trained forecaster; by default the built-in one")
    parser.add_argument("--magnitude", type=float, default=8.0, help="of the smallest earthquake")
    given = parser.parse_args()
    network = read_forecaster(given.model)[0].eval()
    known = read(sources()["world"], RegionTable.load())
    print(f"{'':28}" + "".join(f"{f'{days:g} d: median, 97.5 %, longest':>36}" for days in DAYS))
    for mainshock in find_mainshocks(known, YEARS):
        if mainshock.magnitude >= given.magnitude:
            counts = counts_after(network, Moment(known, mainshock, 1.0))
            cells = [f"{np.quantile(one, 0.5):.0f}, {np.quantile(one, 0.975):.0f}, {one[-1]}" for one in counts]
            place = f"{str(mainshock.time)[:10]} M {mainshock.magnitude:g} {mainshock.region.id}"
            print(f"{place:28}" + "".join(f"{cell:>36}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()

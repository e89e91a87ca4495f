"""Make the long-run map of background events, `models/tectonics/long_run_map.npz`.

    python -m tests.measurements.tectonic_raster [--until 2022-07-01] [-o FILE]

The columns of `tectonic_maps`, their weights fitted as in `tectonic_skill world --window-days 365`: the smoothed catalogues until 2015, the
events of the four years after. With these weights the third catalogue then goes on until the given date.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import Instant
from models.artifact import read_forecaster
from models.numerics import places, positions_km
from models.tectonics import write_long_run_map
from models.tectonics.long_run_map import BUILT_IN
from tests.measurements.tectonic_maps import COLUMNS, long_columns
from tests.measurements.tectonic_skill import columns_of
from tests.measurements.tectonic_trial import MONTHS, SETTINGS, Trial

STEP = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--until", type=Instant.parse, default=Instant.parse("2022-07-01"))
    parser.add_argument("--output", "-o", type=Path, default=BUILT_IN)
    given = parser.parse_args()
    torch.set_num_threads(1)
    network, _ = read_forecaster(None)
    setting = SETTINGS["world"]
    trial = Trial(setting._replace(years=(*setting.years[:4], str(given.until))), network.eval(), MONTHS)
    theta = trial.fit_weights_of_columns(columns_of(trial, True)["all"].before, trial.scored(trial.validation, trial.test))
    latitudes, longitudes = (np.arange(-limit + STEP / 2.0, limit, STEP) for limit in (90.0, 180.0))
    grid_longitudes, grid_latitudes = (one.ravel() for one in np.meshgrid(longitudes, latitudes))
    at = positions_km(places(grid_latitudes, grid_longitudes))
    parts = [function(grid_latitudes, grid_longitudes) for function in COLUMNS.values()]
    parts.append(long_columns(grid_latitudes, grid_longitudes, Instant.parse(setting.years[0])))
    parts.append(csr_matrix(trial.known_density(given.until, at)[:, None]))
    log_density = hstack(parts).tocsr() @ theta
    write_long_run_map(log_density.reshape(len(latitudes), len(longitudes)), given.output)
    print(f"{given.output}: {given.output.stat().st_size} bytes, ln density {log_density.min():.1f} to {log_density.max():.1f}")


if __name__ == "__main__":
    main()

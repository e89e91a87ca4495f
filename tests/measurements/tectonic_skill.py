"""Whether the background of the forecaster gains from what a catalogue does not know: plate boundaries, slabs, coasts, regimes, a century.

    python -m tests.measurements.tectonic_skill world japan california

One number d for each map s (Σ over the cells of a region is 1 for every d):

    p(cell) ∝ b(cell)^(1−d) s(cell)^d

b is the forecaster's background map, made every two years, in cells of half a degree (Japan a quarter, California a tenth). s is log-linear
in the columns of `tectonic_maps`, fitted to the background events of the training years. Scored on events that the forecaster takes for
background with P > 0.5. d is fitted to the validation years; gains are of the test years: nats an event over b, with the 95 % interval of a
bootstrap over blocks of time. *own* is a control: the region's own events, smoothed; gains of *with own* are over b and own together.
d > 0 for *even* says only that b is too sharp. *silent* are events in cells without one for five years.

With `--window-days 365` b and own know the last year alone, as in most regions of the stream, and are made every half year; the long
catalogue then goes on with the regions' own events until the validation years (test: until the test years).
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import Instant
from models.artifact import read_forecaster
from models.numerics import FloatArray
from models.scoring.scores import bootstrap_interval
from models.space_time import SpaceTimeNetwork
from tests.measurements.background_cells import model_map, own_map
from tests.measurements.tectonic_maps import COLUMNS, long_columns
from tests.measurements.tectonic_trial import MONTHS, MONTHS_OF_WINDOW, OWN_NEIGHBOUR, SETTINGS, Columns, Scored, Trial


def pooled(trial: Trial, maps: list[FloatArray], powers: FloatArray, events: Scored) -> tuple[FloatArray, FloatArray]:
    """Return ln p at the events, (N,), p ∝ b Π (s_k/b)^d_k, and the gradient of its sum in d, (K,).

        ∂/∂d_k Σ ln p = Σ_events (r_k(cell) − Σ_cells p r_k)        r_k = ln s_k − ln b, the sum over the cells of the event's region

    Args:
        maps: b, then s_k, (Y, C) each.
    """
    found, gradient = np.empty(len(events.cells)), np.zeros(len(powers))
    for row in np.unique(events.maps):
        ratios = [one[row] - maps[0][row] for one in maps[1:]]
        log_p = trial.normalised(maps[0][row] + sum((d * one for d, one in zip(powers, ratios, strict=True)), np.zeros(1)))
        chosen = np.flatnonzero(events.maps == row)
        found[chosen] = log_p[events.cells[chosen]]
        regions = trial.region_of_cell[events.cells[chosen]]
        for k, one in enumerate(ratios):
            expected = np.add.reduceat(np.exp(log_p) * one, trial.offsets)
            gradient[k] += (one[events.cells[chosen]] - expected[regions]).sum()
    return found, gradient


def log_pooled(trial: Trial, maps: list[FloatArray], powers: FloatArray, events: Scored) -> FloatArray:
    """Return the first of what `pooled` returns."""
    return pooled(trial, maps, powers, events)[0]


def fit_powers(trial: Trial, maps: list[FloatArray], events: Scored) -> FloatArray:
    """Return the d_k of the largest likelihood on events; the likelihood is concave in them."""

    def loss(powers: FloatArray) -> tuple[float, FloatArray]:
        log_p, gradient = pooled(trial, maps, powers, events)
        return -float(log_p.mean()), -gradient / len(log_p)

    return np.asarray(minimize(loss, np.zeros(len(maps) - 1), jac=True, method="L-BFGS-B", options={"maxiter": 30}).x)


def mixed(maps: list[FloatArray], weights: FloatArray, events: Scored) -> FloatArray:
    """Return ln Σ_k weight_k p_k at the events, (N,)."""
    densities = np.stack([np.exp(one[events.maps, events.cells]) for one in maps], 1)
    return np.asarray(np.log(densities @ weights))


def fit_weights(maps: list[FloatArray], events: Scored) -> FloatArray:
    """Return the weights of a mixture by expectation–maximisation."""
    densities = np.stack([np.exp(one[events.maps, events.cells]) for one in maps], 1)
    weights = np.full(len(maps), 1.0 / len(maps))
    for _ in range(300):
        shares = densities * weights
        weights = (shares / shares.sum(1, keepdims=True)).mean(0)
    return weights


def interval(gains: FloatArray, events: Scored, chosen: NDArray[np.bool_] | None = None) -> str:
    """Return a mean gain and its interval."""
    rows = np.ones(len(gains), np.bool_) if chosen is None else chosen
    if not rows.any():
        return "none"
    found = bootstrap_interval(gains[rows], events.times[rows], np.empty(0, np.int64))
    span = "" if found["low"] is None else f" ({found['low']:+.3f} … {found['high']:+.3f})"
    return f"{found['mean']:+.3f}{span}"


def report(name: str, network: SpaceTimeNetwork, window_days: float) -> None:
    """Print the table of one setting."""
    setting = SETTINGS[name]
    trial, own = Trial(setting, network, MONTHS if math.isinf(window_days) else MONTHS_OF_WINDOW), (OWN_NEIGHBOUR, setting.narrowest_km)
    print(f"{name}: {len(trial.parts)} regions, {len(trial.log_areas)} cells", flush=True)
    b = trial.at_moments(lambda part, moment: model_map(part.background, part.cells, moment, window_days))
    smooth = trial.at_moments(lambda part, moment: own_map(part.background, part.cells, moment, *own, window_days))
    training, fitting = trial.scored(trial.train, trial.validation), trial.scored(trial.validation, trial.test)
    test = trial.scored(trial.test, trial.end)
    learned = training if math.isinf(window_days) else fitting
    columns = columns_of(trial, not math.isinf(window_days))
    maps = {"even": np.tile(trial.log_areas, (len(trial.moments), 1))}
    maps |= {key: trial.fit_log_linear(one, learned) for key, one in columns.items()}
    print(f"events: {len(learned.cells)} {len(fitting.cells)} {len(test.cells)}, of them silent {test.is_silent.sum()}", flush=True)
    print_rows(trial, b, smooth, maps, fitting, test)


def columns_of(trial: Trial, with_catalogue: bool) -> dict[str, Columns]:
    """Return the columns of all maps, before the test years and in them.

    Args:
        with_catalogue: the long catalogue goes on with the regions' own events until the validation years, and until the test years.
    """
    found = {key: trial.at_cells(function) for key, function in COLUMNS.items()}
    columns = {key: Columns(one, one) for key, one in found.items()}
    long = trial.at_cells(lambda a, o: long_columns(a, o, Instant.parse(trial.setting.years[0])))
    columns["long"] = Columns(long, long)
    if with_catalogue:
        known = [csr_matrix(trial.known_density(until, trial.positions)[:, None]) for until in (trial.validation, trial.test)]
        columns["long"] = Columns(*(hstack((long, one)).tocsr() for one in known))
    tectonic = hstack(list(found.values())).tocsr()
    columns["tectonic"] = Columns(tectonic, tectonic)
    columns["all"] = Columns(*(hstack((tectonic, one)).tocsr() for one in columns["long"]))
    return columns


def print_rows(trial: Trial, b: FloatArray, own: FloatArray, maps: dict[str, FloatArray], fitting: Scored, test: Scored) -> None:
    """Print of each map d and the gain in the test years: alone, with own, with own and the long catalogue; then as a linear mixture."""
    controls = {"alone": [b], "with own": [b, own], "with own and long": [b, own, maps["long"]]}
    before = {key: log_pooled(trial, some, fit_powers(trial, some, fitting), test) for key, some in controls.items()}
    mixtures = {key: mixed(some, fit_weights(some, fitting), test) for key, some in controls.items()}
    shown = interval(before["with own"] - before["alone"], test), interval(mixtures["with own"] - mixtures["alone"], test)
    print(f"own: gain {shown[0]}, as a mixture {shown[1]}", flush=True)
    for key, s in maps.items():
        print(key)
        for label, some in controls.items():
            if label.endswith("long") and key in ("long", "even"):
                continue
            powers, weights = fit_powers(trial, [*some, s], fitting), fit_weights([*some, s], fitting)
            gains = log_pooled(trial, [*some, s], powers, test) - before[label]
            mixture = interval(mixed([*some, s], weights, test) - mixtures[label], test)
            print(f"    {label:18} d {powers[-1]:+.2f}, {interval(gains, test)}; silent {interval(gains, test, test.is_silent)}; "
                  f"mixture: weight {weights[-1]:.2f}, {mixture}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", default=list(SETTINGS), help=", ".join(SETTINGS))
    parser.add_argument("--window-days", type=float, default=math.inf, help="the model and `own` know only so many days")
    torch.set_num_threads(1)
    network, _ = read_forecaster(None)
    given = parser.parse_args()
    for name in given.settings:
        report(name, network.eval(), given.window_days)


if __name__ == "__main__":
    main()

"""ETAS fitted to simulated catalogues from which short-term incompleteness has taken events: plain, and with a blind time.

    python -m tests.measurements.etas_incompleteness [--seeds 8]

A M 7 and 1,000 days after it, complete from M 2.5; every event that follows a larger one within `BLIND_DAYS` is taken out. Decay (ω,
c), N, α and μ are fitted, taper and floor held; with a blind time T and β too.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from ingest.instant import Instant
from models.baselines.etas.incompleteness import fit_incomplete_times
from models.baselines.etas.model import EtasParameters
from models.baselines.etas.omori import Omori
from models.baselines.etas.simulate import simulate_etas
from models.baselines.etas.times_fit import fit_times
from models.baselines.gutenberg_richter import GutenbergRichter
from models.catalog import PointPattern, Span, area_km2

REGION = shapely.box(-179.9, -89.9, 179.9, 89.9)
OFFSPRING, GROWTH, C_DAYS, OMEGA, TAU_DAYS, PER_DAY, BETA = 0.06, 2.0, 0.02, 0.1, 200.0, 0.3, 2.3
BLIND_DAYS, DAYS, MAINSHOCK = 0.003, 1_000.0, 7.0
HELD = {"floor": -20.0, "tau": math.log(TAU_DAYS)}
_RHO, _GAMMA, _LOG10_D = 0.9, 0.8, -0.3
_TOTAL = Omori(C_DAYS, OMEGA, TAU_DAYS).total
TRUTH = EtasParameters(
    2.5, area_km2(REGION), math.log10(PER_DAY / area_km2(REGION)), math.log10(OFFSPRING / _TOTAL * _RHO / math.pi) + _RHO * _LOG10_D,
    GROWTH + _RHO * _GAMMA, math.log10(C_DAYS), OMEGA, math.log10(TAU_DAYS), _LOG10_D, _GAMMA, _RHO,
)  # fmt: skip


def sequence(seed: int) -> PointPattern:
    """Return a mainshock and what follows it, all of it."""
    one, end = np.zeros(1), Instant(1)
    shock = PointPattern(np.zeros(1, np.int64), one, one, one + MAINSHOCK, one, 2.5, Span(Instant(0), end), area_km2(REGION))
    after = simulate_etas(TRUTH, GutenbergRichter(BETA, 0.0), REGION, DAYS, seed, shock)
    columns = ("times", "latitudes", "longitudes", "magnitudes", "depths_km")
    joined: dict[str, Any] = {name: np.concatenate((getattr(shock, name), getattr(after, name))) for name in columns}
    return replace(after, **joined, observed=Span(Instant(0), after.observed.end))


def recorded(pattern: PointPattern) -> PointPattern:
    """Return the pattern without the events that follow a larger one within the blind time."""
    first = np.searchsorted(pattern.days, pattern.days - BLIND_DAYS)
    kept = np.array([not (pattern.magnitudes[low:row] > pattern.magnitudes[row]).any() for row, low in enumerate(first.tolist())])
    columns = ("times", "latitudes", "longitudes", "magnitudes", "depths_km")
    left: dict[str, Any] = {name: getattr(pattern, name)[kept] for name in columns}
    return replace(pattern, **left)


def values_of(parameters: EtasParameters) -> list[float]:
    """Return N, α, c (days), ω and the branching ratio."""
    return [parameters.offspring_at_completeness, parameters.growth, parameters.omori.c, parameters.omega, parameters.branching_ratio(BETA)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=8)
    rows: dict[str, list[list[float]]] = {"complete": [], "incomplete": [], "with a blind time": []}
    counts, blind = [], []
    for seed in range(parser.parse_args().seeds):
        whole = sequence(seed)
        found = recorded(whole)
        fit = fit_incomplete_times(TRUTH, found, found.observed, HELD)
        fits = fit_times(TRUTH, whole, whole.observed, HELD), fit_times(TRUTH, found, found.observed, HELD), fit.parameters
        for own, parameters in zip(rows.values(), fits, strict=True):
            own.append(values_of(parameters))
        counts.append((len(whole), len(found)))
        blind.append((fit.blind_days, fit.beta))
    print("events, and those recorded:", np.mean(counts, axis=0))
    print("truth: N, α, c, ω, n", values_of(TRUTH), "T, β", BLIND_DAYS, BETA)
    for name, values in rows.items():
        print(f"{name}: mean {np.round(np.mean(values, axis=0), 4)}, spread {np.round(np.std(values, axis=0, ddof=1), 4)}")
    print(f"T, β: mean {np.round(np.mean(blind, axis=0), 5)}, spread {np.round(np.std(blind, axis=0, ddof=1), 5)}")


if __name__ == "__main__":
    main()

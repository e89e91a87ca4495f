"""Times of ETAS on the benchmark's validation spans: published, fitted with places, to times alone, as for simulations, with a blind time.

python -m tests.measurements.etas_times [SanJac_10 …]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models.baselines import SEQUENCES, Etas, EtasParameters, fit_etas, fit_times
from models.baselines.etas.incompleteness import fit_incomplete_times, time_log_likelihood
from models.catalog import PointPattern, Span
from tests.measurements.skill import BENCHMARKS, DATA, dataset_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], default=["SanJac_10", "WHITE_06", "ComCat_25"])
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    for name in given.names:
        dataset = dataset_of(name, given.data)
        pattern, train = dataset.pattern.before(dataset.train.end), dataset.train
        fitted = fit_etas(pattern, train)
        models = {
            "published": Etas.load(given.data / "etas_parameters.json", name).parameters,
            "with places": fitted.parameters,
            "times alone": fit_times(fitted.parameters, pattern, train),
            "held": fit_times(fitted.parameters, pattern, train, SEQUENCES),
        }
        scores = (f"{label} {time_score(one, dataset.pattern, dataset.validation):.4f}" for label, one in models.items())
        print(f"{name}: {', '.join(scores)}", flush=True)
        own = models["times alone"]
        blind = fit_incomplete_times(fitted.parameters, pattern, train)
        score = time_log_likelihood(blind, dataset.pattern, dataset.validation) / dataset.pattern.count(dataset.validation)
        growths = f"growth {own.growth:.2f} {blind.parameters.growth:.2f}"
        print(f"    with a blind time {score:.4f}: {86_400.0 * blind.blind_days:.1f} s, {growths}", flush=True)


def time_score(parameters: EtasParameters, pattern: PointPattern, span: Span) -> float:
    """Return the mean log-likelihood of times, nats per event."""
    times = Etas(parameters).times(pattern, span)
    return float((np.log(times.rates).sum() - times.expected.sum()) / len(times.rates))


if __name__ == "__main__":
    main()

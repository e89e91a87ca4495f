"""Scores of a forecaster on years it has not seen, beside the simplest baselines', with the same formulas for all.

Time log-likelihood is in ln(1/day) per event: the densities of the waits that ended within the period, and the survival of those
cut off at its end, given the silence before its start. Magnitude log-likelihood is per magnitude unit. Intervals are 95 %, from a
paired bootstrap over blocks of time (events in a sequence are not independent).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines import poisson
from models.dataset import Catalogue, Sequence, Targets, catalogue, earthquakes, sequence, targets
from models.distributions import MagnitudeDistribution
from models.lstm import EventLstm

FloatArray = NDArray[np.float64]
Period = Callable[[Sequence], tuple[Instant, Instant]]

MINUTES_PER_DAY = 1_440.0
RESAMPLES = 2_000
SHORTEST_BLOCK_DAYS = 7.0
MOST_BLOCKS, FEWEST_BLOCKS = 200, 8
_ROWS_AT_A_TIME = 2_000


class Predictor(Protocol):
    """Whatever gives distributions after the rows of a sequence: the network, or a baseline."""

    def predict(self, sequence: Sequence, rows: NDArray[np.int64]) -> tuple[Any, MagnitudeDistribution[FloatArray]]: ...


@dataclass(frozen=True)
class NetworkPredictor:
    """The network's distributions, its memory run from the sequence's beginning."""

    network: EventLstm

    def predict(self, sequence: Sequence, rows: NDArray[np.int64]) -> tuple[Any, MagnitudeDistribution[FloatArray]]:
        with torch.no_grad():
            outputs = self.network(torch.from_numpy(sequence.inputs)[None])[0].numpy()[rows]  # (R, outputs)
        magnitude = self.network.magnitude(outputs, np.full(len(rows), sequence.magnitude_of_completeness))
        return self.network.wait(outputs, sequence.centres[rows]), magnitude


@dataclass(frozen=True)
class Scored:
    """What a predictor got for each target, (R,) each; NaN in the last six where no event came."""

    until: NDArray[np.int64]
    observed: NDArray[np.bool_]
    time: FloatArray
    magnitude: FloatArray
    time_error_minutes: FloatArray
    magnitude_error: FloatArray
    time_pit: FloatArray
    magnitude_pit: FloatArray


def evaluate(
    network: EventLstm,
    events: list[Event],
    magnitude_of_completeness: float,
    start: Instant,
    end: Instant,
    *,
    polygon: Path | None = None,
    history_start: Instant | None = None,
    deduplicate: bool = True,
) -> dict[str, Any]:
    """Score one catalogue as one region.

    Args:
        events: of any kind and order; earthquakes from Mc on are taken.
        start: the scored period's start; what came before (from `history_start`) only moves the memory and fits the baselines.
        end: the scored period's end, excluded.
        polygon: .npy of (latitude, longitude) corners; None: everywhere.
        deduplicate: leave out near-duplicates under other ids.

    Raises:
        Problem: no events in the period, or the polygon cannot be read.
    """
    inside = _within(events, polygon)
    begin = history_start if history_start is not None else Instant(min((event.time for event in inside), default=int(start)))
    kept = earthquakes(inside) if deduplicate else sorted(inside, key=lambda event: (event.time, event.id))
    members = [event for event in kept if begin <= event.time < end and (event.magnitude or 0.0) >= magnitude_of_completeness]
    source: Catalogue = catalogue("", [], start, start, magnitude_of_completeness)
    one = sequence(source, "", magnitude_of_completeness, members, (begin, end))
    return evaluate_sequences(network, [one], lambda _: (start, end), lambda _: (begin, start))


def evaluate_sequences(network: EventLstm, sequences: list[Sequence], period: Period, fitting: Period) -> dict[str, Any]:
    """Score a region table's sequences, each in its period; baselines are fitted on the `fitting` period.

    Raises:
        Problem: no events in the period.
    """
    ours = score(NetworkPredictor(network), sequences, period)
    simple = score(poisson.fit(sequences, fitting), sequences, period)
    if not ours.observed.any():
        raise Problem("no events in the period to score", "choose another period or a lower magnitude of completeness")
    return summary(ours) | {
        "baselines": {"poisson": summary(simple)},
        "gain_over_poisson": gain(ours.time, simple.time, ours),
        "gain_over_gutenberg_richter": gain(ours.magnitude, simple.magnitude, ours),
    }


def score(predictor: Predictor, sequences: list[Sequence], period: Period) -> Scored:
    """Every target of every sequence in its period."""
    parts = [_score(predictor, one, part) for one in sequences if len((part := targets(one, *period(one))).rows)]
    if not parts:
        raise Problem("no region was observed in the period to score", "choose another period")
    return Scored(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scored)})


def summary(scored: Scored) -> dict[str, Any]:
    """The means that are reported."""
    came = scored.observed
    time_pit, magnitude_pit = scored.time_pit[came], scored.magnitude_pit[came]
    return {
        "events": int(came.sum()),
        "time_log_likelihood": float(scored.time.sum() / came.sum()),
        "magnitude_log_likelihood": float(scored.magnitude[came].mean()),
        "time_mae_minutes": float(scored.time_error_minutes[came].mean()),
        "time_median_ae_minutes": float(np.median(scored.time_error_minutes[came])),
        "magnitude_mae": float(scored.magnitude_error[came].mean()),
        "pit_time_ks": distance_from_uniform(time_pit),
        "pit_magnitude_ks": distance_from_uniform(magnitude_pit),
        "coverage_50": float(((time_pit >= 0.25) & (time_pit <= 0.75)).mean()),
        "coverage_90": float(((time_pit >= 0.05) & (time_pit <= 0.95)).mean()),
    }


def gain(ours: FloatArray, theirs: FloatArray, scored: Scored) -> dict[str, Any]:
    """Nats per event gained, with its 95 % interval by a paired bootstrap over blocks of time; none when the blocks are too few."""
    difference = np.where(np.isfinite(ours), ours - theirs, 0.0)
    first, last = int(scored.until.min()), int(scored.until.max())
    block = max(SHORTEST_BLOCK_DAYS * MILLISECONDS_PER_DAY, (last - first) / MOST_BLOCKS)
    index = ((scored.until - first) // block).astype(np.int64)
    gains, counts = np.bincount(index, difference), np.bincount(index, scored.observed.astype(np.float64))
    mean = float(gains.sum() / counts.sum())
    if len(counts) < FEWEST_BLOCKS:
        return {"mean": mean, "low": None, "high": None}
    drawn = np.random.default_rng(0).integers(0, len(counts), (RESAMPLES, len(counts)))  # (S, blocks)
    means = gains[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1.0)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": mean, "low": float(low), "high": float(high)}


def distance_from_uniform(values: FloatArray) -> float:
    """The Kolmogorov–Smirnov distance of probability integral transforms from the uniform distribution."""
    ordered, count = np.sort(values), len(values)
    steps = np.arange(count + 1) / count
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def _score(predictor: Predictor, one: Sequence, part: Targets) -> Scored:
    pieces = [np.arange(first, min(first + _ROWS_AT_A_TIME, len(part.rows))) for first in range(0, len(part.rows), _ROWS_AT_A_TIME)]
    parts = [_score_rows(predictor, one, part, piece) for piece in pieces]
    return Scored(**{field.name: np.concatenate([getattr(each, field.name) for each in parts]) for field in fields(Scored)})


def _score_rows(predictor: Predictor, one: Sequence, part: Targets, piece: NDArray[np.int64]) -> Scored:
    rows, waits, came, excesses = part.rows[piece], part.waits[piece], part.observed[piece], part.excesses[piece]
    wait, magnitude = predictor.predict(one, rows)
    wait = wait.after(part.elapsed[piece])
    log_survival = wait.log_survival(waits)
    half_bins = one.half_bins[rows]
    within_bin = np.random.default_rng(0).uniform(-1.0, 1.0, len(rows)) * half_bins  # a rounded magnitude may be anywhere in its bin

    def if_came(values: FloatArray) -> FloatArray:
        return np.where(came, values, np.nan)

    froms = np.concatenate(([int(one.start)], one.times))[rows]
    return Scored(
        until=froms + np.round((part.elapsed[piece] + waits) * MILLISECONDS_PER_DAY).astype(np.int64),
        observed=came,
        time=np.where(came, wait.log_prob(waits), log_survival),
        magnitude=if_came(magnitude.log_prob(excesses)),
        time_error_minutes=if_came(np.abs(wait.quantile(np.array([0.5]))[:, 0] - waits) * MINUTES_PER_DAY),
        magnitude_error=if_came(np.abs(magnitude.quantile(np.array([0.5]))[:, 0] - excesses)),
        time_pit=if_came(-np.expm1(log_survival)),
        magnitude_pit=if_came(1.0 - magnitude.survival(np.maximum(excesses + within_bin, 0.0))),
    )


def _within(events: list[Event], polygon: Path | None) -> list[Event]:
    """Earthquakes with a magnitude, inside the polygon if there is one."""
    found = [event for event in events if event.magnitude is not None]
    if polygon is None:
        return found
    try:
        corners = np.load(polygon, allow_pickle=False)
        shape = shapely.Polygon(corners[:, ::-1])
    except (OSError, ValueError, IndexError) as error:
        raise Problem(f"cannot read the polygon {polygon} ({error})", "give an .npy file of (latitude, longitude) corners") from None
    shapely.prepare(shape)
    return [event for event in found if shapely.contains_xy(shape, event.longitude, event.latitude)]

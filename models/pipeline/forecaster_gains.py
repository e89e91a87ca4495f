"""Gains of one forecaster, or one CNN, over another: event by event, over the recent span of a catalogue's regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ingest.instant import Instant
from models.catalog import RegionDataset, Span
from models.cnn import MapNetwork
from models.forecaster import SpaceTimeModel
from models.pipeline.decision import Gains
from models.scoring import Trial, event_and_end_times, join_scores, score_trial, span_scores
from models.space_time import SpaceTimeNetwork
from models.timing import time_scores


def unseen_span(recent: Span, card_data: Sequence[dict[str, Any]]) -> Span:
    """Return the part of a span after everything that a model was trained on or chosen by; of no length if it has seen it all.

    Args:
        card_data: the `data` of the model's card.
    """
    ends = [Instant.parse(one["validation"]["to"]) for one in card_data]
    return Span(min(max([recent.start, *ends]), recent.end), recent.end)


def datasets_covering(datasets: Sequence[RegionDataset], recent: Span) -> list[RegionDataset]:
    """Return the datasets whose catalogue covers a part of a span, and some time before it."""
    observed = [dataset.pattern.observed for dataset in datasets]
    return [dataset for dataset, one in zip(datasets, observed, strict=True) if one.start < recent.start < min(one.end, recent.end)]


def count_compared(datasets: Sequence[RegionDataset], recent: Span) -> int:
    """Return the number of events on which two forecasters, or two CNNs, are compared."""
    return sum(dataset.pattern.count(recent) for dataset in datasets_covering(datasets, recent))


def forecaster_gains(challenger: SpaceTimeNetwork, incumbent: SpaceTimeNetwork, datasets: Sequence[RegionDataset], recent: Span) -> Gains:
    """Return the gains in time, place and magnitude together over the regions' recent spans; in place only where both have places.

    A region without any event in the span counts by the probability of that silence; without it, a network that expects too many events
    everywhere would gain.
    """
    trials, silences, ends = list[list[Trial]](), [], []
    for dataset in datasets_covering(datasets, recent):
        if dataset.pattern.count(recent):
            trials.append([_trial(network, dataset, recent) for network in (challenger, incumbent)])
        else:
            silences.append(_silence_log_prob(challenger, dataset, recent) - _silence_log_prob(incumbent, dataset, recent))
            ends.append(int(recent.end))
    if not trials:
        return Gains(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    new, old = (join_scores([span_scores(one.pattern, one.span, one.event_scores) for one in part]) for part in zip(*trials, strict=True))
    event_times, end_times = event_and_end_times([pair[0] for pair in trials])
    marks = new.magnitude - old.magnitude + np.nan_to_num(new.place - old.place)
    gains = new.time - old.time + np.pad(marks, (0, len(end_times)))
    return Gains(np.append(gains, silences), event_times, np.append(end_times, ends).astype(np.int64))


def _trial(network: SpaceTimeNetwork, dataset: RegionDataset, recent: Span) -> Trial:
    return score_trial(SpaceTimeModel(network, "lstm", dataset.region), dataset.pattern, recent, {})


def _silence_log_prob(network: SpaceTimeNetwork, dataset: RegionDataset, recent: Span) -> float:
    """Return ln P(no event in the span)."""
    history = dataset.pattern.before(recent.end)
    background = network.timing.background_of(dataset.region, history.before(recent.start))
    return float(time_scores(network.timing, network.timing.evaluate(history), recent, background)["survival_log_prob"])


def map_gains(
    base: SpaceTimeNetwork, challenger: MapNetwork, incumbent: MapNetwork | None, datasets: Sequence[RegionDataset], recent: Span
) -> Gains:
    """Return the gains in place of one CNN over another, or over none, on the same forecaster, over the regions' recent spans."""
    differences, event_times = [], []
    for dataset in datasets_covering(datasets, recent):
        if dataset.pattern.count(recent):
            models = (SpaceTimeModel(base, "lstm", dataset.region, maps) for maps in (challenger, incumbent))
            new, old = (model.score_events(dataset.pattern, recent).place_log_prob for model in models)
            differences.append(new - old)
            event_times.append(dataset.pattern.times[dataset.pattern.rows(recent)])
    joined = (np.concatenate(differences), np.concatenate(event_times)) if differences else (np.empty(0), np.empty(0, np.int64))
    return Gains(*joined, np.empty(0, np.int64))

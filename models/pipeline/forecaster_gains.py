"""By how much a new forecaster or CNN is better than another, event by event, over the recent time of a catalogue's regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ingest.instant import Instant
from models.catalog import RegionDataset, Span
from models.cnn import MapNetwork
from models.forecaster import SpaceTimeModel
from models.pipeline.decision import Gains
from models.scoring import join_scores, moments, score_trial, scored
from models.space_time import SpaceTimeNetwork
from models.timing import time_scores


def unseen(recent: Span, card_data: Sequence[dict[str, Any]]) -> Span:
    """The part of a span that comes after everything a model learned from or was chosen by; of no length if it has seen it all."""
    ends = [Instant.parse(one["validation"]["to"]) for one in card_data]
    return Span(min(max([recent.start, *ends]), recent.end), recent.end)


def judged(lessons: Sequence[RegionDataset], recent: Span) -> list[RegionDataset]:
    """Those whose catalogue covers something of a span, and something before it."""
    seen = [lesson.pattern.observed for lesson in lessons]
    return [lesson for lesson, one in zip(lessons, seen, strict=True) if one.start < recent.start < min(one.end, recent.end)]


def forecaster_gains(challenger: SpaceTimeNetwork, incumbent: SpaceTimeNetwork, lessons: Sequence[RegionDataset], recent: Span) -> Gains:
    """Of time, place and magnitude together, over the regions' recent spans; places only where both speak of them.

    A region in which nothing came counts by its silence: else whoever expects too much everywhere would seem the better.
    """
    held, silences, ends = [], [], []
    for lesson in judged(lessons, recent):
        rows = lesson.pattern.rows(recent)
        if rows.start < rows.stop:
            held.append([score_trial(*_asked(network, lesson, recent), {}) for network in (challenger, incumbent)])
        else:
            silences.append(_silence(challenger, lesson, recent) - _silence(incumbent, lesson, recent))
            ends.append(int(recent.end))
    if not held:
        return Gains(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    ours, theirs = (join_scores([scored(one.pattern, one.span, one.outcomes) for one in part]) for part in zip(*held, strict=True))
    came, ended = moments([pair[0] for pair in held])
    marks = ours.magnitude - theirs.magnitude + np.nan_to_num(ours.place - theirs.place)
    gained = ours.time - theirs.time + np.pad(marks, (0, len(ended)))
    return Gains(np.append(gained, silences), came, np.append(ended, ends).astype(np.int64))


def _asked(network: SpaceTimeNetwork, lesson: RegionDataset, recent: Span) -> tuple[SpaceTimeModel, Any, Span]:
    return SpaceTimeModel(network, "lstm", lesson.region), lesson.pattern, recent


def _silence(network: SpaceTimeNetwork, lesson: RegionDataset, recent: Span) -> float:
    """ln P(no event in the span)."""
    known = lesson.pattern.before(recent.end)
    background = network.timing.background_of(lesson.region, known.before(recent.start))
    return float(time_scores(network.timing, network.timing.evaluate(known), recent, background)["survival_log_prob"])


def map_gains(
    base: SpaceTimeNetwork, challenger: MapNetwork, incumbent: MapNetwork | None, lessons: Sequence[RegionDataset], recent: Span
) -> Gains:
    """Of the places, over the regions' recent spans."""
    found, came = [], []
    for lesson in judged(lessons, recent):
        rows = lesson.pattern.rows(recent)
        if rows.start < rows.stop:
            both = (SpaceTimeModel(base, "lstm", lesson.region, maps).outcomes(lesson.pattern, recent) for maps in (challenger, incumbent))
            ours, theirs = (outcomes.place_log_prob for outcomes in both)
            found.append(ours - theirs)
            came.append(lesson.pattern.times[rows])
    joined = (np.concatenate(found), np.concatenate(came)) if found else (np.empty(0), np.empty(0, np.int64))
    return Gains(*joined, np.empty(0, np.int64))

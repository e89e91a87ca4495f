"""The forecaster as a model that can be scored: p(event) = p(wait) · p(place | moment) · p(magnitude | moment, place)."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.catalog import PointPattern, Span, common_step
from models.cnn import MapNetwork, map_log_prob
from models.magnitude import magnitude_features
from models.numerics import FloatArray
from models.place import place_log_prob
from models.scoring import EventScores, randomise_within_bin
from models.space_time import SpaceTimeNetwork
from models.timing import PatternKernels, time_scores


class SpaceTimeModel:
    """A network, with or without a CNN over maps, as a `models.scoring.ScoredModel`.

    Args:
        network: times, magnitudes and perhaps places.
        region: the region's id, for its own background rate and grid; None: those of a region that was not trained on.
        maps: the CNN that re-weights places; None: places by the kernels alone.
    """

    def __init__(self, network: SpaceTimeNetwork, name: str, region: str | None = None, maps: MapNetwork | None = None) -> None:
        self._network, self._name, self._region, self._maps = network.eval(), name, region, maps

    @property
    def name(self) -> str:
        return self._name

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Score the events of a span, (N,); those before it are the past."""
        past, timing = pattern.before(span.end), self._network.timing
        background = timing.background_of(self._region or "", pattern.before(span.start))
        kernels = timing.evaluate(past)
        scores: dict[str, Any] = time_scores(timing, kernels, span, background) | self._magnitudes(past, span)
        return EventScores(place_log_prob=self._places(kernels, span, background), **scores)

    def _places(self, kernels: PatternKernels, span: Span, background: float) -> FloatArray:
        """Return ln p(place | moment) of the span's events, (n,); NaN from a model without places."""
        network, pattern = self._network, kernels.pattern
        if network.place is None:
            return np.full(pattern.rows(span).stop - pattern.rows(span).start, np.nan)
        if self._maps is not None:
            return map_log_prob(network, self._maps, kernels, span, self._region or "", background)
        features, weights = kernels.event_features, kernels.event_weights
        return place_log_prob(network.place, pattern, span, features, weights, background, network.architecture.place_reach)

    def _magnitudes(self, pattern: PointPattern, span: Span) -> dict[str, FloatArray]:
        """Return the magnitude fields of `EventScores`, (n,) each, given moment and place.

        The law begins half a step below completeness; the step is that of the magnitudes before the span.
        """
        architecture, network = self._network.architecture, self._network.magnitude
        rows = pattern.rows(span)
        half_bin = common_step(pattern.magnitudes[: rows.start]) / 2.0 if rows.start else 0.0
        features = magnitude_features(pattern, architecture.magnitude_reach, architecture.neighbour_reach)[rows]
        law = network.distribution(features, pattern.magnitude_of_completeness)
        excesses = pattern.excesses[rows] + half_bin
        median = law.quantile(np.array([0.5]))[:, 0] - half_bin + pattern.magnitude_of_completeness
        return {
            "magnitude_log_prob": law.log_prob(excesses),
            "magnitude_pit": 1.0 - law.survival(randomise_within_bin(excesses, half_bin)),
            "median_magnitude": median,
        }

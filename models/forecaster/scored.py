"""The forecaster as one model: p(event) = p(wait) · p(place | moment) · p(magnitude | moment, place), scored as any other."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.catalog import PointPattern, Span, common_step
from models.cnn import MapNetwork, map_log_prob
from models.magnitude import magnitude_features
from models.numerics import FloatArray
from models.place import place_log_prob
from models.scoring import EventScores
from models.space_time import SpaceTimeNetwork
from models.timing import rows_of, time_outcomes


class SpaceTimeModel:
    """The network behind the protocol `models.scoring.scored_model.Model`."""

    def __init__(self, network: SpaceTimeNetwork, name: str, region: str | None = None, maps: MapNetwork | None = None) -> None:
        self._network, self._name, self._region, self._maps = network.eval(), name, region, maps

    @property
    def name(self) -> str:
        return self._name

    def outcomes(self, pattern: PointPattern, span: Span) -> EventScores:
        known = pattern.before(span.end)
        background = self.background(known, span)
        told: dict[str, Any] = time_outcomes(self._network.timing, known, span, background) | self._magnitudes(known, span)
        return EventScores(place_log_prob=self._places(known, span, background), **told)

    def background(self, pattern: PointPattern, span: Span) -> float:
        """μ: the region's that it was trained on (there may be one only); else that of the history before the span."""
        timing = self._network.timing
        regions = timing.architecture.regions
        trained = timing.background(regions[0] if len(regions) == 1 else self._region or "")
        return timing.fit_background(pattern, Span(pattern.observed.start, span.start)) if trained is None else trained

    def _places(self, pattern: PointPattern, span: Span, background: float) -> FloatArray:
        network, architecture = self._network, self._network.architecture
        if network.place is None:
            return np.full(pattern.rows(span).stop - pattern.rows(span).start, np.nan)
        if self._maps is not None:
            return map_log_prob(network, self._maps, pattern, span, self._region or "", background)
        rows = rows_of([pattern], architecture.timing.reach)
        weights = network.timing.weights(rows)[1:].numpy()
        return place_log_prob(network.place, pattern, span, rows.neighbourhoods[1:], weights, background, architecture.place_reach)

    def _magnitudes(self, pattern: PointPattern, span: Span) -> dict[str, FloatArray]:
        """Given the moment and the place; the probability integral transform is randomised within the rounding bin.

        The law begins half a step below completeness; the step is that of the magnitudes before the span.
        """
        architecture, network = self._network.architecture, self._network.magnitude
        rows = pattern.rows(span)
        half_bin = common_step(pattern.magnitudes[: rows.start]) / 2.0 if rows.start else 0.0
        features = magnitude_features(pattern, architecture.magnitude_reach, architecture.neighbour_reach)[rows]
        law = network.distribution(features, pattern.magnitude_of_completeness)
        excesses = pattern.excesses[rows] + half_bin
        within_bin = np.random.default_rng(0).uniform(-half_bin, half_bin, len(excesses))
        median = law.quantile(np.array([0.5]))[:, 0] - half_bin + pattern.magnitude_of_completeness
        return {
            "magnitude_log_prob": law.log_prob(excesses),
            "magnitude_pit": 1.0 - law.survival(np.maximum(excesses + within_bin, 0.0)),
            "median_magnitude": median,
        }

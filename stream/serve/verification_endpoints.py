"""Endpoints of scores, outcomes, models and explanations: how good the forecasts were, which models made them, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ingest.problem import Problem
from stream.records import DISCLAIMER, Explanation, Score, rounded
from stream.records import api_answers as answers
from stream.serve.api import Api
from stream.serve.errors import not_found, unavailable
from stream.serve.queries import NoQuery, OutcomesQuery, RegionQuery

EXPLANATIONS_KEPT = 200


class VerificationEndpoints:
    """Handlers that answer from the view, and from the explainer in a thread of its own."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._thread = ThreadPoolExecutor(1, "explain")
        self._explanations: dict[tuple[str, str], Explanation] = {}
        """By region and forecast id."""

    async def scores(self, _: NoQuery) -> answers.Scores:
        view = self._api.view
        latest = [view.forecasts[region][-1] for region in sorted(view.forecasts)]
        regions = [answers.RegionScore(one.region, one.model, one.score) for one in latest if one.score is not None]
        return answers.Scores(DISCLAIMER, regions, world_score([one.score for one in regions]), view.calibration.counts)

    async def models(self, _: NoQuery) -> answers.Models:
        view = self._api.view
        in_force = None if view.model is None else answers.ModelInForce(*view.model)
        return answers.Models(in_force, list(reversed(view.models)))

    async def outcomes(self, query: OutcomesQuery) -> answers.Outcomes:
        region = self._api.region(query.region)
        view = self._api.view
        outcomes = view.calibration.outcomes(region.id, view.events.of_region(region.id))
        return answers.Outcomes(DISCLAIMER, outcomes[: -query.limit - 1 : -1])

    async def explanation(self, query: RegionQuery) -> Explanation:
        """Explain the region's latest forecast. An explanation takes seconds, so each is computed once, and one at a time."""
        region = self._api.region(query.region)
        forecast = self._api.view.latest_forecast(region.id)
        if forecast is None:
            raise not_found("forecast of that region yet", "choose a region that /v1/forecasts lists")
        key = (region.id, forecast.id)
        if key not in self._explanations:
            self._explanations[key] = await asyncio.get_running_loop().run_in_executor(self._thread, self._explain, region.id)
            while len(self._explanations) > EXPLANATIONS_KEPT:
                del self._explanations[next(iter(self._explanations))]
        return self._explanations[key]

    def _explain(self, region: str) -> Explanation:
        explain = self._api.sources.explain
        if explain is None:
            raise unavailable("this server cannot explain forecasts", "start it with the store of the windows: quakecast serve --store", 60)
        try:
            return explain(region)
        except Problem as problem:
            raise unavailable(problem.what, problem.remedy) from None


def world_score(scores: Iterable[Score]) -> answers.WorldScore:
    """Combine the scores of regions: sums of counts, and means per event."""
    counted = [score for score in scores if score.events]
    events = sum(score.events for score in counted)
    return answers.WorldScore(
        events,
        _weighted_sums([(1.0, score.expected_events) for score in counted]),
        _weighted_means([(score.events, score.log_score_per_event) for score in counted]),
        _weighted_means([(score.events, score.gain_per_event) for score in counted]),
        sum(score.missed_events for score in counted),
        sum(score.withdrawn_events for score in counted),
    )


def _weighted_sums(parts: Iterable[tuple[float, dict[str, float]]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for weight, values in parts:
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + weight * value
    return {name: rounded(value) for name, value in totals.items()}


def _weighted_means(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Return, by name, the weighted mean over the parts that have the name."""
    weights = _weighted_sums([(1.0, dict.fromkeys(values, float(weight))) for weight, values in parts])
    return {name: rounded(total / weights[name]) for name, total in _weighted_sums([(float(w), v) for w, v in parts]).items()}

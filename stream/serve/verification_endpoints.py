"""The endpoints that say how good the forecasts were, who made them, and why they are what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ingest.problem import Problem
from stream.records import DISCLAIMER, Explanation, Score, rounded
from stream.records import api_answers as answers
from stream.serve.api import Api
from stream.serve.errors import not_found, unavailable
from stream.serve.queries import Nothing, OfOutcomes, OfRegion

EXPLANATIONS_KEPT = 200


class Judgement:
    """Scores, outcomes, models, explanations."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._thread = ThreadPoolExecutor(1, "explain")
        self._explained: dict[tuple[str, str], Explanation] = {}
        """By region and its latest forecast."""

    async def scores(self, _: Nothing) -> answers.Scores:
        view = self._api.view
        latest = [view.forecasts[region][-1] for region in sorted(view.forecasts)]
        regions = [answers.RegionScore(one.region, one.model, one.score) for one in latest if one.score is not None]
        return answers.Scores(DISCLAIMER, regions, world([one.score for one in regions]), view.calibration.counts)

    async def models(self, _: Nothing) -> answers.Models:
        view = self._api.view
        in_force = None if view.model is None else answers.ModelInForce(*view.model)
        return answers.Models(in_force, list(reversed(view.models)))

    async def outcomes(self, question: OfOutcomes) -> answers.Outcomes:
        region = self._api.region(question.region)
        view = self._api.view
        found = view.calibration.outcomes(region.id, view.events.of_region(region.id))
        return answers.Outcomes(DISCLAIMER, found[: -question.limit - 1 : -1])

    async def explanation(self, question: OfRegion) -> Explanation:
        """Made once for each forecast, one at a time."""
        region = self._api.region(question.region)
        forecast = self._api.view.latest_forecast(region.id)
        if forecast is None:
            raise not_found("forecast of that region yet", "choose a region that /v1/forecasts has")
        key = (region.id, forecast.id)
        if key not in self._explained:
            self._explained[key] = await asyncio.get_running_loop().run_in_executor(self._thread, self._explain, region.id)
            while len(self._explained) > EXPLANATIONS_KEPT:
                del self._explained[next(iter(self._explained))]
        return self._explained[key]

    def _explain(self, region: str) -> Explanation:
        explain = self._api.sources.explain
        if explain is None:
            raise unavailable("this server cannot explain forecasts", "start it with the windows: quakecast serve --store", 60)
        try:
            return explain(region)
        except Problem as problem:
            raise unavailable(problem.what, problem.remedy) from None


def world(scores: Iterable[Score]) -> answers.WorldScore:
    """All scores as one: sums, and means an event."""
    counted = [score for score in scores if score.events]
    events = sum(score.events for score in counted)
    return answers.WorldScore(
        events,
        _sums([(1.0, score.expected_events) for score in counted]),
        _means([(score.events, score.log_score_per_event) for score in counted]),
        _means([(score.events, score.gain_per_event) for score in counted]),
        sum(score.missed_events for score in counted),
        sum(score.withdrawn_events for score in counted),
    )


def _sums(parts: Iterable[tuple[float, dict[str, float]]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for weight, values in parts:
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + weight * value
    return {name: rounded(value) for name, value in totals.items()}


def _means(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """By name, over the regions that have it."""
    weights = _sums([(1.0, dict.fromkeys(values, float(weight))) for weight, values in parts])
    return {name: rounded(total / weights[name]) for name, total in _sums([(float(w), v) for w, v in parts]).items()}

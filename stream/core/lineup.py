"""Which models are in force, and where they are found: promotions lead from one lineup to the next.

The first lineup is empty: the worker's own forecaster speaks. Each promotion in the input log replaces the kinds that it names.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from ingest.event import Promotion
from ingest.problem import Problem
from stream.core.forecaster import Forecaster

FORECASTING = ("lstm", "cnn")
"""Kinds that forecast; a promotion's others are no matter of the stream."""
RESTING_ON = {"lstm": ("cnn",)}
"""Kinds that were trained on top of another: they go with it, unless the promotion names their own successor."""
Models = tuple[tuple[str, str], ...]


class Lineup(NamedTuple):
    """Promoted models as (kind, name), in the order of kinds."""

    champion: Models = ()
    """Whose forecasts are said; kinds that are not named are the worker's own."""
    challenger: Models = ()
    """What differs from the champion in the forecaster that runs in its shadow; empty: none does."""

    def after(self, promotion: Promotion) -> Lineup:
        """A new champion ends the challenge; the new challenger takes the old one's place."""
        models = {kind: name for kind, name in promotion.models.items() if kind in FORECASTING}
        if promotion.challenger:
            return Lineup(self.champion, tuple(sorted(models.items())))
        return Lineup(_changed(self.champion, models))

    def challenging(self) -> Lineup:
        """The challenger's models as a champion's."""
        return Lineup(_changed(self.champion, dict(self.challenger)))

    def encode(self) -> bytes:
        """JSON; nothing for the first lineup."""
        return msgspec.json.encode(self) if self != Lineup() else b""

    @classmethod
    def decode(cls, data: bytes) -> Lineup:
        """Of what `encode` wrote.

        Raises:
            msgspec.DecodeError: it is damaged.
        """
        return msgspec.json.decode(data, type=cls) if data else cls()


class Library(Protocol):
    """Where forecasters are found."""

    def forecaster(self, lineup: Lineup) -> Forecaster:
        """The forecaster of a champion with, if there is one, its challenger in its shadow.

        Raises:
            Problem: a model is missing, damaged, or does not go with the others.
        """


class OnlyOwn:
    """The library of a worker that was given none: it refuses every promotion."""

    def forecaster(self, lineup: Lineup) -> Forecaster:
        """No forecaster.

        Raises:
            Problem: always.
        """
        raise Problem("this worker has no models to choose from", "name their folder with --models")


def _changed(models: Models, by: dict[str, str]) -> Models:
    leaving = {name for kind in by for name in RESTING_ON.get(kind, ())}
    return tuple(sorted(({kind: name for kind, name in models if kind not in leaving} | by).items()))

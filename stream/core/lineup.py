"""The lineup: which models are in force. Each promotion in the input log leads from one lineup to the next.

The first lineup is empty: the worker's own forecaster is in force. A promotion replaces the kinds of model that it names.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from ingest.event import Promotion
from ingest.problem import Problem
from stream.core.forecaster import Forecaster

FORECASTING_KINDS = ("lstm", "cnn")
"""Kinds of model that take part in forecasts; the stream ignores other kinds in a promotion."""
DEPENDENT_KINDS = {"lstm": ("cnn",)}
"""By kind, the kinds trained on top of it: they are replaced with it, unless the promotion names a successor of theirs."""
Models = tuple[tuple[str, str], ...]


class Lineup(NamedTuple):
    """Promoted models as (kind, name), sorted by kind."""

    champion: Models = ()
    """The models whose forecasts are issued; for kinds not named, the worker's own model."""
    challenger: Models = ()
    """Where the challenger differs from the champion; empty when there is no challenger."""

    @classmethod
    def of(cls, models: dict[str, str]) -> Lineup:
        """Return the lineup of these champions, by kind."""
        return cls(tuple(sorted(models.items())))

    def after(self, promotion: Promotion) -> Lineup:
        """Return the lineup after a promotion: a new champion ends the challenge, a new challenger replaces the former one."""
        models = {kind: name for kind, name in promotion.models.items() if kind in FORECASTING_KINDS}
        if promotion.challenger:
            return Lineup(self.champion, tuple(sorted(models.items())))
        return Lineup(_replace_models(self.champion, models))

    def challenger_as_champion(self) -> Lineup:
        """Return the lineup in which the challenger is the champion."""
        return Lineup(_replace_models(self.champion, dict(self.challenger)))

    def encode(self) -> bytes:
        """Encode as JSON; the first lineup gives no bytes."""
        return msgspec.json.encode(self) if self != Lineup() else b""

    @classmethod
    def decode(cls, data: bytes) -> Lineup:
        """Decode what `encode` wrote.

        Raises:
            msgspec.DecodeError: the bytes are damaged.
        """
        return msgspec.json.decode(data, type=cls) if data else cls()


class Library(Protocol):
    """Finds forecasters by lineup."""

    def forecaster(self, lineup: Lineup) -> Forecaster:
        """Return the champion's forecaster, with the challenger scored beside it if there is one.

        Raises:
            Problem: a model is missing or damaged, or was not trained for the others.
        """


class NoLibrary:
    """The library of a worker without a folder of models: it refuses every promotion."""

    def forecaster(self, lineup: Lineup) -> Forecaster:
        """Refuse every lineup.

        Raises:
            Problem: always.
        """
        raise Problem("this worker has no folder of models", "name one with --models")


def _replace_models(models: Models, by: dict[str, str]) -> Models:
    dependent = {name for kind in by for name in DEPENDENT_KINDS.get(kind, ())}
    return tuple(sorted(({kind: name for kind, name in models if kind not in dependent} | by).items()))

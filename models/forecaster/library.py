"""Forecasters by the names of promoted models: how the stream's `Library` finds them in a folder of artefacts."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ingest.problem import Problem
from models.artifact import built_in_cnn, read_cnn, read_forecaster
from models.cnn import LiveMaps, MapNetwork
from models.forecaster.live import LstmForecaster
from models.space_time import SpaceTimeNetwork
from stream.core import Forecaster, Lineup, ShadowedForecaster

LINEUPS_KEPT = 4
"""A worker's partitions share a forecaster; while one of them is behind, it is still with an earlier one."""


class ModelLibrary:
    """Artefacts found by name, and the models that are in force before any promotion.

    Args:
        find: the folder of an artefact by its name.
        model: folder of the worker's own LSTM; None: the built-in one.
    """

    def __init__(self, find: Callable[[str], Path], model: Path | None = None) -> None:
        self._find = find
        self._own_network, card = read_forecaster(model)
        self._own_name = card.name
        self._own_maps = built_in_cnn(card.name)
        self.own = self._assembled(self._own_network, card.name, self._own_maps)
        self._kept = lru_cache(maxsize=LINEUPS_KEPT)(self._forecaster)

    def forecaster(self, lineup: Lineup) -> Forecaster:
        """As `stream.core.lineup.Library` says."""
        return self._kept(lineup)

    def network(self, lineup: Lineup) -> SpaceTimeNetwork:
        """The champion's times, places and magnitudes.

        Raises:
            Problem: it is not here, or damaged.
        """
        return self._lstm(dict(lineup.champion).get("lstm"))[0]

    def named_network(self, lineup: Lineup) -> tuple[SpaceTimeNetwork, str]:
        """As `network`, with its name.

        Raises:
            Problem: it is not here, or damaged.
        """
        return self._lstm(dict(lineup.champion).get("lstm"))

    def champion(self, lineup: Lineup) -> LstmForecaster:
        """The champion alone.

        Raises:
            Problem: it is not here, or damaged.
        """
        named = dict(lineup.champion)
        network, name = self._lstm(named.get("lstm"))
        maps = self._cnn(named["cnn"], name) if "cnn" in named else self._own_maps if name == self._own_name else None
        return self._assembled(network, name, maps)

    @staticmethod
    def _assembled(network: SpaceTimeNetwork, name: str, maps: tuple[MapNetwork, str] | None) -> LstmForecaster:
        if maps is None:
            return LstmForecaster(network, name)
        return LstmForecaster(network, f"{name}+{maps[1]}", maps=LiveMaps(maps[0]))

    def _cnn(self, name: str, base: str) -> tuple[MapNetwork, str]:
        """A promoted CNN for the forecaster it was trained on."""
        network, card = read_cnn(self._find(name))
        if card.name != name:
            raise Problem(f"the model in the folder of {name} is {card.name}", "train it again, or promote what is there")
        if card.base != base:
            raise Problem(f"{name} was trained on {card.base}, not on {base}", f"promote it together with {card.base}")
        return network, name

    def _forecaster(self, lineup: Lineup) -> Forecaster:
        champion = self.champion(lineup)
        return (
            ShadowedForecaster(champion, self.champion(Lineup(lineup.challenger_as_champion().champion))) if lineup.challenger else champion
        )

    def _lstm(self, name: str | None) -> tuple[SpaceTimeNetwork, str]:
        if name is None or name == self._own_name:
            return self._own_network, self._own_name
        network, card = read_forecaster(self._find(name))
        if card.name != name:
            raise Problem(f"the model in the folder of {name} is {card.name}", "train it again, or promote what is there")
        return network, name

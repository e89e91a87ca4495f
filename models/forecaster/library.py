"""Forecasters by the names of promoted models: the stream's `Library` over a folder of artefacts."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.problem import Problem
from ingest.region import RegionTable
from models.architecture import SpaceTimeArchitecture
from models.artifact import Card, CnnGanCard, built_in_trained_cnn, read_trained_cnn, read_trained_forecaster
from models.cnn import LiveMaps, MapArchitecture
from models.forecaster.live import LstmForecaster
from models.numerics import Trained
from stream.core import Forecaster, Lineup, ShadowedForecaster

if TYPE_CHECKING:
    from models.space_time import SpaceTimeNetwork

CACHED_LINEUPS = 4
"""A worker's partitions share a forecaster; a partition that is behind still uses an earlier one."""


class ModelLibrary:
    """Artefacts by name, and the worker's own models, which are in force before any promotion; `stream.core.Library`.

    Args:
        find: returns the folder of an artefact by its name.
        model: the folder of the worker's own LSTM; None: the built-in one.
        table: the regions; None: places without the long-run map.

    Raises:
        Problem: the worker's own model is missing or damaged.
    """

    def __init__(self, find: Callable[[str], Path], model: Path | None = None, table: RegionTable | None = None) -> None:
        self._find, self._table, self._own_folder = find, table, model
        self._own_trained, card = read_trained_forecaster(model)
        self._own_name = card.name
        self._own_maps = built_in_trained_cnn(card.name)
        self.own = self._assemble(self._own_trained, card.name, self._own_maps)
        self._cached_forecaster = lru_cache(maxsize=CACHED_LINEUPS)(self._load_forecaster)
        self._cached_network = lru_cache(maxsize=CACHED_LINEUPS)(self._load_network)

    def forecaster(self, lineup: Lineup) -> Forecaster:
        """Return the champion's forecaster, with the challenger scored beside it if there is one.

        Raises:
            Problem: a model is missing or damaged, or was not trained for the others.
        """
        return self._cached_forecaster(lineup)

    def network(self, lineup: Lineup) -> SpaceTimeNetwork:
        """Return the champion's LSTM as a network: times, places and magnitudes.

        Raises:
            Problem: it is missing or damaged.
        """
        return self.named_network(lineup)[0]

    def named_network(self, lineup: Lineup) -> tuple[SpaceTimeNetwork, str]:
        """Return the champion's LSTM as a network, and its name; the first call loads torch.

        Raises:
            Problem: it is missing or damaged.
        """
        return self._cached_network(dict(lineup.champion).get("lstm", self._own_name))

    def champion(self, lineup: Lineup) -> LstmForecaster:
        """Return the champion's forecaster without a challenger.

        Raises:
            Problem: a model is missing or damaged, or was not trained for the others.
        """
        names = dict(lineup.champion)
        trained, name = self._load_lstm(names.get("lstm", self._own_name))
        maps = self._load_cnn(names["cnn"], name) if "cnn" in names else self._own_maps if name == self._own_name else None
        return self._assemble(trained, name, maps)

    def _assemble(
        self, trained: Trained[SpaceTimeArchitecture], name: str, maps: tuple[Trained[MapArchitecture], str] | None
    ) -> LstmForecaster:
        """Return the forecaster of an LSTM and, if there is one, a CNN with its name."""
        if maps is None:
            return LstmForecaster(trained, name, table=self._table)
        return LstmForecaster(trained, f"{name}+{maps[1]}", maps=LiveMaps(maps[0]), table=self._table)

    def _load_cnn(self, name: str, base: str) -> tuple[Trained[MapArchitecture], str]:
        """Load a promoted CNN, which must have been trained on the LSTM `base`."""
        trained, card = read_trained_cnn(self._find(name))
        _require_name(card, name)
        if card.base != base:
            raise Problem(f"{name} was trained on {card.base}, not on {base}", f"promote it together with {card.base}")
        return trained, name

    def _load_forecaster(self, lineup: Lineup) -> Forecaster:
        champion = self.champion(lineup)
        return (
            ShadowedForecaster(champion, self.champion(Lineup(lineup.challenger_as_champion().champion))) if lineup.challenger else champion
        )

    def _load_lstm(self, name: str) -> tuple[Trained[SpaceTimeArchitecture], str]:
        """Load a promoted LSTM, or the worker's own."""
        if name == self._own_name:
            return self._own_trained, name
        trained, card = read_trained_forecaster(self._find(name))
        _require_name(card, name)
        return trained, name

    def _load_network(self, name: str) -> tuple[SpaceTimeNetwork, str]:
        from models.artifact import read_forecaster  # loads torch

        network, card = read_forecaster(self._own_folder if name == self._own_name else self._find(name))
        _require_name(card, name)
        return network, name


def _require_name(card: Card | CnnGanCard, name: str) -> None:
    if card.name != name:
        raise Problem(f"the model in the folder of {name} is {card.name}", "train it again, or promote what is there")

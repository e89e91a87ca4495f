"""The CNN live: a region's maps within the forecaster's memory, and the factors that they give.

    maps (bytes) = cells that events have touched: uint16 each | float32 (cells, COLUMNS − 2) | float64 (cells, 2): the days

The days are those since 1970. The formulas are those of `models.cnn.cell_maps`; a test holds that live is what a catalogue gives. The
network runs
in double precision, on one thread and in one shape.
"""

from __future__ import annotations

import copy
import struct
from typing import NamedTuple

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from models.cnn import cell_maps as maps
from models.cnn.cell_maps import CAME, COLUMNS, COUNTS, RATES
from models.cnn.channels import features
from models.cnn.factors import Factors, factors_of
from models.cnn.network import MapNetwork
from models.numerics import FloatArray, IntArray

_COUNT = struct.Struct("<H")
_EMPTY = _COUNT.pack(0)


class LiveFactors(NamedTuple):
    """What the CNN says of a region's cells at a moment, and what is there."""

    factors: Factors
    rates: FloatArray
    """(cells,) what all past events bring on there, 1/day, not re-weighted."""


class LiveMaps:
    """A frozen CNN, and how the maps in a memory change."""

    def __init__(self, network: MapNetwork) -> None:
        self._network = copy.deepcopy(network).double().eval()  # the one that was given stays as it is
        self._grids = network.architecture.grids

    def start(self, region: str) -> bytes:
        """The maps before any event; nothing for a region that the CNN has not learned."""
        return _EMPTY if region in self._grids else b""

    def observe(self, kept: bytes, region: str, event: tuple[int, float, float], jump: FloatArray, background: float) -> bytes:
        """The maps one event later.

        Args:
            event: time (ms since 1970), latitude and longitude.
            jump: (CAME,) of `maps.added`.
            background: μ, 1/day.
        """
        if not kept:
            return kept
        index, states = _unpacked(kept)
        time, latitude, longitude = event
        cells, parts = (part[0] for part in self._grids[region].parts(np.array([latitude]), np.array([longitude])))
        index, states = _with(index, states, cells)
        where = np.searchsorted(index, cells)
        before = float(states[:, COUNTS.stop - 1].sum())
        return _packed(index, maps.observed(states, where, parts, time / MILLISECONDS_PER_DAY, jump, background, before))

    def states(self, kept: bytes, region: str, now_ms: int, background: float) -> FloatArray:
        """(cells, COLUMNS) the maps at a moment."""
        index, sparse = _unpacked(kept)
        states = maps.empty(self._grids[region])
        states[index] = sparse
        return maps.advanced(states, now_ms / MILLISECONDS_PER_DAY, maps.backgrounds(states, background))

    def factors(self, kept: bytes, region: str, now_ms: int, background: float) -> LiveFactors | None:
        """What the CNN says at a moment, nothing having come since; None for a region that it has not learned."""
        if not kept:
            return None
        states = self.states(kept, region, now_ms, background)
        seen = features(states, now_ms / MILLISECONDS_PER_DAY, background)
        return LiveFactors(factors_of(self._network, self._grids[region], seen), states[:, RATES].sum(1))


def reweighted(
    said: LiveFactors,
    latitudes: FloatArray,
    longitudes: FloatArray,
    lags_days: FloatArray,
    rates: FloatArray,
    rate: float,
    background: float,
) -> tuple[FloatArray, float]:
    """(n,) the rates of recent events as the CNN has them, and that of the whole region, 1/day.

    Args:
        latitudes, longitudes, lags_days, rates: (n,) of the recent events.
        rate: of the whole region, with older events and the background; what is neither lies where all past events' rates do.
        background: μ, 1/day.
    """
    factors = said.factors
    own = factors.of(latitudes, longitudes, lags_days[:, None])[0][:, 0] * rates
    older = max(rate - background - float(rates.sum()), 0.0)
    usual = float((said.rates * factors.cells[-2]).sum() / max(said.rates.sum(), np.finfo(np.float64).tiny))
    return own, float(own.sum()) + older * usual + background * factors.everywhere


def _with(index: IntArray, states: FloatArray, cells: IntArray) -> tuple[IntArray, FloatArray]:
    """With rows for cells that no event had touched."""
    new = np.setdiff1d(cells, index)
    if not len(new):
        return index, states
    fresh = np.zeros((len(new), COLUMNS))
    fresh[:, CAME] = maps.NEVER
    joined = np.concatenate((index, new))
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate((states, fresh))[order]


def _packed(index: IntArray, states: FloatArray) -> bytes:
    sums, days = states[:, :CAME].astype("<f4"), states[:, CAME:].astype("<f8")
    return _COUNT.pack(len(index)) + index.astype("<u2").tobytes() + sums.tobytes() + days.tobytes()


def _unpacked(kept: bytes) -> tuple[IntArray, FloatArray]:
    (count,) = _COUNT.unpack_from(kept)
    place = _COUNT.size
    index = np.frombuffer(kept, "<u2", count, place).astype(np.int64)
    place += 2 * count
    sums = np.frombuffer(kept, "<f4", count * CAME, place).reshape(count, CAME)
    days = np.frombuffer(kept, "<f8", count * (COLUMNS - CAME), place + 4 * count * CAME).reshape(count, COLUMNS - CAME)
    return index, np.concatenate((sums.astype(np.float64), days), axis=1)

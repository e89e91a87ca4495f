"""The CNN in the stream: the maps of a region as bytes in the forecaster's memory, and the factors that the CNN gives for them.

    maps (bytes) = number of cells: uint16 | indices of the cells: uint16 each | sums: float32 (n, COLUMNS − 2) | days: float64 (n, 2)

Only the n cells in which there was an event are stored. The days count from 1970. The formulas are those of `models.cnn.cell_maps`; a
test compares these maps with those of a catalogue. The network runs in double precision, on one thread and with one shape, so that its
output is the same to the last bit.
"""

from __future__ import annotations

import copy
import struct
from typing import NamedTuple

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from models.cnn.cell_maps import COLUMNS, COUNTS, LAST_EVENT, NEVER, RATES, add_event, advance, background_by_cell, empty_maps
from models.cnn.channels import input_channels
from models.cnn.factors import Factors, cell_factors
from models.cnn.network import MapNetwork
from models.numerics import FloatArray, IntArray

_COUNT = struct.Struct("<H")
_EMPTY = _COUNT.pack(0)


class LiveFactors(NamedTuple):
    """The factors of the CNN for a region at one moment, and the rates that they multiply."""

    factors: Factors
    rates: FloatArray
    """(cells,) the rate that all past events cause there, events per day, before the factors."""


class LiveMaps:
    """A frozen CNN, and the maps in the forecaster's memory."""

    def __init__(self, network: MapNetwork) -> None:
        self._network = copy.deepcopy(network).double().eval()  # a copy: the caller's network stays in single precision
        self._grids = network.architecture.grids

    def start(self, region: str) -> bytes:
        """Return the maps before any event; empty bytes for a region that the CNN was not trained on."""
        return _EMPTY if region in self._grids else b""

    def observe(self, packed: bytes, region: str, event: tuple[int, float, float], increment: FloatArray, background: float) -> bytes:
        """Return the maps after one more event.

        Args:
            packed: the maps so far, as `start` or this method returned them.
            event: time (ms since 1970), latitude and longitude (degrees).
            increment: (LAST_EVENT,) of `event_increment`.
            background: μ of the timing network, events per day.
        """
        if not packed:
            return packed
        index, states = _unpack(packed)
        time, latitude, longitude = event
        cells, parts = (part[0] for part in self._grids[region].parts(np.array([latitude]), np.array([longitude])))
        index, states = _with_cells(index, states, cells)
        rows = np.searchsorted(index, cells)
        count = float(states[:, COUNTS.stop - 1].sum())
        return _pack(index, add_event(states, rows, parts, time / MILLISECONDS_PER_DAY, increment, background, count))

    def states(self, packed: bytes, region: str, now_ms: int, background: float) -> FloatArray:
        """Return the maps at a moment, (cells, COLUMNS)."""
        index, sparse = _unpack(packed)
        states = empty_maps(self._grids[region])
        states[index] = sparse
        return advance(states, now_ms / MILLISECONDS_PER_DAY, background_by_cell(states, background))

    def factors(self, packed: bytes, region: str, now_ms: int, background: float) -> LiveFactors | None:
        """Return the factors at a moment, if no event arrived since; None for a region that the CNN was not trained on."""
        if not packed:
            return None
        states = self.states(packed, region, now_ms, background)
        channels = input_channels(states, now_ms / MILLISECONDS_PER_DAY, background)
        return LiveFactors(cell_factors(self._network, self._grids[region], channels), states[:, RATES].sum(1))


def reweight_rates(
    live: LiveFactors,
    latitudes: FloatArray,
    longitudes: FloatArray,
    lags_days: FloatArray,
    rates: FloatArray,
    rate: float,
    background: float,
) -> tuple[FloatArray, float]:
    """Multiply the rates of recent events and of the whole region by the factors of the CNN.

    The rate of older events is the rest, rate − μ − Σ rates. It is assumed to lie in the cells as the rates of all past events do, and
    gets the factor of the oldest band of ages.

    Args:
        latitudes, longitudes: (n,) of the recent events, degrees.
        lags_days: (n,) their ages.
        rates: (n,) their rates, events per day.
        rate: of the whole region, with older events and the background, events per day.
        background: μ of the timing network, events per day.

    Returns:
        (n,) the rates of the recent events, and the rate of the whole region, events per day.
    """
    factors = live.factors
    recent = factors.at_events(latitudes, longitudes, lags_days[:, None])[0][:, 0] * rates
    older = max(rate - background - float(rates.sum()), 0.0)
    mean_factor = float((live.rates * factors.cells[-2]).sum() / max(live.rates.sum(), np.finfo(np.float64).tiny))
    return recent, float(recent.sum()) + older * mean_factor + background * factors.background


def _with_cells(index: IntArray, states: FloatArray, cells: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the same maps with rows for cells that had none."""
    new = np.setdiff1d(cells, index)
    if not len(new):
        return index, states
    empty = np.zeros((len(new), COLUMNS))
    empty[:, LAST_EVENT] = NEVER
    indices = np.concatenate((index, new))
    order = np.argsort(indices, kind="stable")
    return indices[order], np.concatenate((states, empty))[order]


def _pack(index: IntArray, states: FloatArray) -> bytes:
    sums, days = states[:, :LAST_EVENT].astype("<f4"), states[:, LAST_EVENT:].astype("<f8")
    return _COUNT.pack(len(index)) + index.astype("<u2").tobytes() + sums.tobytes() + days.tobytes()


def _unpack(packed: bytes) -> tuple[IntArray, FloatArray]:
    (count,) = _COUNT.unpack_from(packed)
    start = _COUNT.size
    index = np.frombuffer(packed, "<u2", count, start).astype(np.int64)
    start += 2 * count
    sums = np.frombuffer(packed, "<f4", count * LAST_EVENT, start).reshape(count, LAST_EVENT)
    days = np.frombuffer(packed, "<f8", count * (COLUMNS - LAST_EVENT), start + 4 * count * LAST_EVENT).reshape(count, COLUMNS - LAST_EVENT)
    return index, np.concatenate((sums.astype(np.float64), days), axis=1)

"""The CNN in the stream: the maps of a region as bytes in the forecaster's memory, and the factors that the CNN gives for them.

    maps (bytes) = number of cells: uint16 | indices of the cells: uint16 each | sums: float32 (n, COLUMNS − 2) | days: float64 (n, 2)

Only the n cells in which there was an event are stored. The days count from 1970. The formulas are those of `models.cnn.cell_maps`; a
test compares these maps with those of a catalogue.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY
from models.cnn.architecture import MapArchitecture
from models.cnn.cell_maps import COLUMNS, COUNTS, LAST_EVENT, RATES, add_event, advance_maps, empty_maps
from models.cnn.channels import input_channels
from models.cnn.factors import Factors, cell_factors
from models.cnn.frozen_network import freeze_maps
from models.numerics import FloatArray, IntArray, Trained, compiled

_COUNT = struct.Struct("<H")
_EMPTY = _COUNT.pack(0)


class LiveFactors(NamedTuple):
    """The factors of the CNN for a region at one moment, and the rates that they multiply."""

    factors: Factors
    rates: FloatArray
    """(cells,) the rate that all past events cause there, events per day, before the factors."""


class LiveMaps:
    """A trained CNN without torch, and the maps in the forecaster's memory."""

    def __init__(self, trained: Trained[MapArchitecture]) -> None:
        self._network = freeze_maps(trained)
        self._grids = trained.architecture.grids

    def start(self, region: str) -> bytes:
        """Return the maps before any event; empty bytes for a region that the CNN was not trained on."""
        return _EMPTY if region in self._grids else b""

    def fold(
        self, packed: bytes, region: str, events: FloatArray, increments: FloatArray, background: float, keep: IntArray
    ) -> list[bytes]:
        """Return the maps after some of N more events.

        Args:
            packed: the maps so far, as `start` or this method returned them.
            events: (N, 4) as of `LiveTiming.fold`; sources are skipped.
            increments: (N, LAST_EVENT) of `event_increments`.
            background: μ of the timing network, events per day.
            keep: ascending positions, 0 … N − 1.
        """
        if not packed:
            return [packed] * len(keep)
        grid = self._grids[region]
        index, sparse = _unpack(packed)
        states, occupied = empty_maps(grid), np.zeros(grid.cells, np.bool_)
        states[index], occupied[index] = sparse, True
        cells, parts = grid.parts(events[:, 1], events[:, 2])
        kept = _fold(states, occupied, events, cells, parts, increments, background, keep)
        return [_pack(np.flatnonzero(has_events), maps[has_events]) for maps, has_events in zip(*kept, strict=True)]

    def states(self, packed: bytes, region: str, now_ms: int, background: float) -> FloatArray:
        """Return the maps at a moment, (cells, COLUMNS)."""
        index, sparse = _unpack(packed)
        states = empty_maps(self._grids[region])
        states[index] = sparse
        advance_maps(states, now_ms / MILLISECONDS_PER_DAY, background)
        return states

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


# The sums of the four cells of an event are rounded to single precision, in which they are stored, so that the maps do not depend on which
# of them are kept.
@compiled
def _fold(
    states: FloatArray,
    occupied: NDArray[np.bool_],
    events: FloatArray,
    cells: IntArray,
    parts: FloatArray,
    increments: FloatArray,
    background: float,
    keep: IntArray,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    kept, kept_cells, number = np.empty((len(keep), *states.shape)), np.empty((len(keep), len(states)), np.bool_), 0
    for n in range(len(events)):
        if events[n, 3] >= 0.0:
            count = 0.0
            for c in range(len(states)):
                count += states[c, COUNTS.stop - 1]
            add_event(states, cells[n], parts[n], events[n, 0] / MILLISECONDS_PER_DAY, increments[n], background, count)
            for corner in range(4):
                occupied[cells[n, corner]] = True
                for column in range(LAST_EVENT):
                    states[cells[n, corner], column] = np.float32(states[cells[n, corner], column])
        if number < len(keep) and keep[number] == n:
            kept[number], kept_cells[number] = states, occupied
            number += 1
    return kept, kept_cells


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

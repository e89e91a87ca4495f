"""The input channels of the CNN: the maps of `models.cnn.cell_maps` as logarithms, ratios and shares, for one moment or many."""

from __future__ import annotations

import math

import numpy as np

from models.cnn.cell_maps import COUNTS, DEPTH, EXCESS, EXPECTED, LAST_EVENT, MOMENTS, SPANS
from models.numerics import FloatArray, compiled

_BAND_ENDS = (5, 8, 12)
"""Time constants up to two hours, up to five days, and longer."""
_FLOOR_PER_DAY = 1e-5
_PRIOR_EVENTS = 0.5
"""Added to N and to E: shrinks N/E towards 1."""
_FLOOR_EVENTS = 0.05
_PRIOR_MAGNITUDES, _PRIOR_DEPTHS = 10.0, 5.0
_LONGEST_DAYS, _SHORTEST_DAYS = 1e4, 1e-3
_FIRST_COUNT, _LAST_COUNT, _FIRST_EXPECTED, _FIRST_MOMENT = COUNTS.start, COUNTS.stop - 1, EXPECTED.start, MOMENTS.start
_LONG, _MOMENTS = _FIRST_COUNT + 4, MOMENTS.stop - MOMENTS.start
_OF_THE_REGION = (1, 2, 3)
CHANNELS = len(_BAND_ENDS) + 2 * SPANS + 2 + 5 + 1 + len(_OF_THE_REGION)
"""| ln rates of the bands (3) | ln N/E (6) | ln N (6) | ln moments (2) | ln share of the region's rate | ln mean excess over the region's |
| depth below the region's mean | ln time since the last event | 1 if any event, else 0 |
| ln rate of the region over μ | ln N/E of the region (3) |"""


def input_channels(states: FloatArray, day: FloatArray | float, background: float) -> FloatArray:
    """Return the input channels of each cell.

    Args:
        states: (..., cells, COLUMNS) of `cell_maps`, advanced to `day`.
        day: (...) the moment, in the days of `states`.
        background: μ of the timing network, events per day.

    Returns:
        (..., CHANNELS, cells), in the order of `CHANNELS`.
    """
    maps = np.ascontiguousarray(states.reshape(-1, *states.shape[-2:]))
    channels = np.empty((len(maps), CHANNELS, maps.shape[1]))
    for one, moment, filled in zip(maps, np.broadcast_to(day, states.shape[:-2]).ravel().tolist(), channels, strict=True):
        _fill_channels(one, moment, background, filled)
    return channels.reshape(*states.shape[:-2], CHANNELS, -1)


@compiled
def _fill_channels(states: FloatArray, day: float, background: float, channels: FloatArray) -> None:
    sums = np.zeros(states.shape[1])
    for c in range(len(states)):
        sums += states[c]
    bands, total = np.empty((len(states), len(_BAND_ENDS))), 0.0
    shares = states[:, _LAST_COUNT] / max(sums[_LAST_COUNT], 1.0)
    for c in range(len(states)):
        first = 0
        for band in range(len(_BAND_ENDS)):
            bands[c, band] = states[c, first : _BAND_ENDS[band]].sum()
            first = _BAND_ENDS[band]
        total += bands[c].sum() + background * shares[c] + _FLOOR_PER_DAY
    known = max(sums[_LONG], _FLOOR_EVENTS)
    excess, depth = (sums[EXCESS] + 0.4) / (known + 1.0), sums[DEPTH] / known  # means of the region; that of the excess is about 1/β
    for c in range(len(states)):
        _fill_cell(states[c], bands[c], shares[c], total, excess, depth, day, background, channels[:, c])
    channels[-len(_OF_THE_REGION) - 1] = math.log(total / background)
    for n in range(len(_OF_THE_REGION)):
        expected = 0.0
        for c in range(len(states)):
            expected += max(states[c, _FIRST_EXPECTED + _OF_THE_REGION[n]], 0.0)
        channels[n - len(_OF_THE_REGION)] = math.log((sums[_FIRST_COUNT + _OF_THE_REGION[n]] + 1.0) / (expected + 1.0))


@compiled
def _fill_cell(
    cell: FloatArray,
    bands: FloatArray,
    share: float,
    total: float,
    excess: float,
    depth: float,
    day: float,
    background: float,
    channels: FloatArray,
) -> None:
    row = len(bands)
    for band in range(row):
        channels[band] = math.log(bands[band] + _FLOOR_PER_DAY)
    for span in range(SPANS):
        count, expected = cell[_FIRST_COUNT + span], max(cell[_FIRST_EXPECTED + span], 0.0)
        channels[row + span] = math.log((count + _PRIOR_EVENTS) / (expected + _PRIOR_EVENTS))
        channels[row + SPANS + span] = math.log(count + _FLOOR_EVENTS)
    row += 2 * SPANS
    for moment in range(_MOMENTS):
        channels[row + moment] = math.log1p(cell[_FIRST_MOMENT + moment])
    row += _MOMENTS
    channels[row] = math.log((bands.sum() + background * share + _FLOOR_PER_DAY) / total)
    channels[row + 1] = math.log((cell[EXCESS] + _PRIOR_MAGNITUDES * excess) / (cell[_LONG] + _PRIOR_MAGNITUDES) / excess)
    channels[row + 2] = (cell[DEPTH] - depth * cell[_LONG]) / (cell[_LONG] + _PRIOR_DEPTHS)
    channels[row + 3] = math.log(min(max(day - cell[LAST_EVENT], _SHORTEST_DAYS), _LONGEST_DAYS))
    channels[row + 4] = 1.0 if share > 0.0 else 0.0

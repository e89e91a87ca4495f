"""The input channels of the CNN: the maps of `models.cnn.cell_maps` as logarithms, ratios and shares; numpy, for one moment or many."""

from __future__ import annotations

import numpy as np

from models.cnn.cell_maps import COUNTS, DEPTH, EXCESS, EXPECTED, LAST_EVENT, MOMENTS, RATES, SPANS
from models.numerics import FloatArray

_BANDS = (slice(0, 5), slice(5, 8), slice(8, 12))
"""Time constants up to two hours, up to five days, and longer."""
_FLOOR_PER_DAY = 1e-5
_PRIOR_EVENTS = 0.5
"""Added to N and to E: shrinks N/E towards 1."""
_FLOOR_EVENTS = 0.05
_PRIOR_MAGNITUDES, _PRIOR_DEPTHS = 10.0, 5.0
_LONGEST_DAYS, _SHORTEST_DAYS = 1e4, 1e-3
_LONG = COUNTS.start + 4
_OF_THE_REGION = (1, 2, 3)
CHANNELS = len(_BANDS) + 2 * SPANS + 2 + 5 + 1 + len(_OF_THE_REGION)
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
    rates, counts, expected = states[..., RATES], states[..., COUNTS], states[..., EXPECTED]
    bands = np.stack([rates[..., band].sum(-1) for band in _BANDS], -1)  # (..., cells, 3)
    share = counts[..., -1] / np.maximum(counts[..., -1].sum(-1, keepdims=True), 1.0)
    rate = rates.sum(-1) + background * share + _FLOOR_PER_DAY
    total = rate.sum(-1, keepdims=True)
    ratios = np.log((counts + _PRIOR_EVENTS) / (np.maximum(expected, 0.0) + _PRIOR_EVENTS))
    long = states[..., _LONG]
    known = np.maximum(long.sum(-1, keepdims=True), _FLOOR_EVENTS)
    excess = (states[..., EXCESS].sum(-1, keepdims=True) + 0.4) / (known + 1.0)  # mean of the region, about 1/β
    mean = np.log((states[..., EXCESS] + _PRIOR_MAGNITUDES * excess) / (long + _PRIOR_MAGNITUDES) / excess)
    depth = states[..., DEPTH].sum(-1, keepdims=True) / known
    deeper = (states[..., DEPTH] - depth * long) / (long + _PRIOR_DEPTHS)
    since = np.log(np.clip(np.asarray(day)[..., None] - states[..., LAST_EVENT], _SHORTEST_DAYS, _LONGEST_DAYS))
    occupied = (share > 0.0).astype(np.float64)
    of_region = [np.log(total / background)]
    for span in _OF_THE_REGION:
        observed, compensator = counts[..., span].sum(-1, keepdims=True), np.maximum(expected[..., span], 0.0).sum(-1, keepdims=True)
        of_region.append(np.log((observed + 1.0) / (compensator + 1.0)))
    single = [np.log(rate / total), mean, deeper, since, occupied, *(np.broadcast_to(one, share.shape) for one in of_region)]
    many = np.concatenate((np.log(bands + _FLOOR_PER_DAY), ratios, np.log(counts + _FLOOR_EVENTS), np.log1p(states[..., MOMENTS])), -1)
    return np.concatenate((np.moveaxis(many, -1, -2), np.stack(single, -2)), -2)

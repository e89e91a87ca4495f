"""The step that magnitudes are rounded to: three answers, because three uses need different ones.

    function        returns             a step counts when                                       used for
    common_step     0.1, 0.01 or 0      at least 99 % of the magnitudes are multiples of it      the half bin in training and evaluation
    coarsest_step   0.1, 0.01 or 0      0.1: clearly more than chance are; 0.01: 95 % are        the report, and binning for completeness
    half_bin_of     half of 0.1, 0.01   0.1: all of the last few hundred are; else 0.01          the half bin of a forecast in the stream

- Maximum likelihood needs `common_step`: it adds half a step (Utsu 1966), and where magnitudes of 0.01 are mixed with tenths there is
  nothing half a step of 0.1 below completeness.
- Completeness needs `coarsest_step`: a catalogue that is rounded to tenths in part has its peaks at the tenths.
- The stream sees a few hundred events at a time and never adds 0. Without any event it assumes tenths, as most networks report.

They must not be merged: each of the three changes numbers that are published.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray

TENTH, HUNDREDTH = 0.1, 0.01
NEARLY_ALL = 0.99
ONE_KIND = 0.95
"""The share from which a catalogue counts as being of one kind."""
_SHARE_BY_CHANCE = 0.1
"""Of magnitudes in hundredths that are whole tenths, if they are not rounded to tenths."""
_TOLERANCE = 1e-6
"""In steps."""


def common_step(magnitudes: FloatArray) -> float:
    """Return the coarsest of 0.1 and 0.01 that nearly all magnitudes (N,) are multiples of, 0 if neither."""
    for step in (TENTH, HUNDREDTH):
        if _share_of_multiples(magnitudes, step) >= NEARLY_ALL:
            return step
    return 0.0


def coarsest_step(magnitudes: FloatArray) -> tuple[float, float]:
    """Return the coarsest step that a notable part of the magnitudes (N,) is rounded to, 0 if finer, and the share of whole tenths.

    A tenth of magnitudes in hundredths are whole tenths by chance. A share s of whole tenths therefore means that (s − 0.1)/0.9 of the
    magnitudes are rounded to tenths; from a tenth of them on, the catalogue counts as rounded to tenths.
    """
    if not len(magnitudes):
        return 0.0, 0.0
    tenths, hundredths = _share_of_multiples(magnitudes, TENTH), _share_of_multiples(magnitudes, HUNDREDTH)
    if (tenths - _SHARE_BY_CHANCE) / (1.0 - _SHARE_BY_CHANCE) >= _SHARE_BY_CHANCE:
        return TENTH, tenths
    return (HUNDREDTH if hundredths >= ONE_KIND else 0.0), tenths


def half_bin_of(magnitudes: FloatArray) -> float:
    """Return half the step of the last magnitudes (R,): 0.05 where all are whole tenths (or there are none), else 0.005."""
    return 0.05 if _are_multiples(magnitudes, TENTH).all() else 0.005


def round_to_step(magnitudes: FloatArray, step: float) -> FloatArray:
    """Return the multiples of a step that are nearest to magnitudes (N,); a step of 0 leaves them as they are."""
    return np.round(magnitudes / step) * step if step else magnitudes


def _share_of_multiples(magnitudes: FloatArray, step: float) -> float:
    return float(_are_multiples(magnitudes, step).mean())


def _are_multiples(magnitudes: FloatArray, step: float) -> NDArray[np.bool_]:
    """Return whether each value is a multiple: (N,) -> (N,)."""
    steps = magnitudes / step
    return np.asarray(np.abs(steps - np.round(steps)) < _TOLERANCE)

"""What a century of catalogues says about one region: its background events' large magnitudes, and how often such events come."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from ingest.region import Region
from models.baselines import LARGE_MAGNITUDES, LongRunRates
from models.forecaster.exceedance import magnitudes_from
from models.magnitude import DAYS_PER_YEAR, BackgroundTail
from models.numerics import FloatArray


class RegionalLongRun:
    """The long-run rates of large earthquakes as the live forecaster uses them."""

    def __init__(self, rates: LongRunRates) -> None:
        self._rates = rates
        self.tail = lru_cache(maxsize=256)(partial(BackgroundTail.of_region, rates))

    def per_day(self, region: Region, otherwise: FloatArray) -> FloatArray:
        """Return the long-run rate of events at or above each of `MAGNITUDES` from completeness on, (X,).

        Args:
            otherwise: (X,) the rates of magnitudes and regions that were not fitted.
        """
        own = dict(zip(LARGE_MAGNITUDES, self._rates.of(region) or (), strict=False))
        magnitudes = magnitudes_from(region.magnitude_of_completeness)
        return np.array([own[m] / DAYS_PER_YEAR if m in own else rate for m, rate in zip(magnitudes, otherwise.tolist(), strict=True)])

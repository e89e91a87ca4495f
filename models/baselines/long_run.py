"""Each region's long-run rate of large earthquakes, from catalogues of a century: `models.baselines.long_run_fit` fits them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ingest.region import Region
from models import PRETRAINED
from models.baselines.fit_file import read_fit

LARGE_MAGNITUDES = (5.0, 6.0, 7.0)
"""Ascending."""


class RegionalRates(msgspec.Struct, frozen=True):
    """One region's own rates."""

    magnitude_of_completeness: float
    """Of the region when they were fitted: a region of another completeness is taken for another region."""
    per_year: tuple[float, ...]
    """(3,) events of each of `LARGE_MAGNITUDES` or more a year, aftershocks included; falling, above 0."""


class LongRunRates(msgspec.Struct, frozen=True):
    """A fit for all regions of a table."""

    regions: dict[str, RegionalRates]
    data: tuple[str, ...] = ()
    """The data of the fit."""

    def of(self, region: Region) -> tuple[float, ...] | None:
        """Return events per year at each of `LARGE_MAGNITUDES`, (3,); None for a region that was not fitted."""
        own = self.regions.get(region.id)
        return None if own is None or own.magnitude_of_completeness != region.magnitude_of_completeness else own.per_year


def write_rates(rates: LongRunRates, file: Path) -> None:
    """Write a fit as JSON; `read_rates` reads it."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(rates)) + b"\n")


def read_rates(file: Path = PRETRAINED / "large_events.json") -> LongRunRates:
    """Read a fit that `write_rates` wrote; without a file, the built-in one.

    Raises:
        Problem: the file does not exist, or holds no fit.
    """
    return read_fit(file, LongRunRates, "long-run rates", _are_consistent, "python -m models.baselines.long_run_fit")


def _are_consistent(rates: LongRunRates) -> bool:
    return all(_is_falling(one.per_year) and one.magnitude_of_completeness < LARGE_MAGNITUDES[0] for one in rates.regions.values())


def _is_falling(per_year: tuple[float, ...]) -> bool:
    return len(per_year) == len(LARGE_MAGNITUDES) and per_year[-1] > 0.0 and list(per_year) == sorted(set(per_year), reverse=True)

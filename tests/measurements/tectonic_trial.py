"""The regions, cells, events and maps of `tectonic_skill`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from ingest.region import RegionTable
from models.catalog import PointPattern, Span, earthquakes, make_point_pattern, read_polygon
from models.numerics import FloatArray, IntArray, places, positions_km
from models.space_time import SpaceTimeNetwork
from tests.measurements.background_cells import Background, Cells, background_of, cells_of, log_floor
from tests.measurements.skill import DATA
from tests.measurements.tectonic_maps import LOG_MEAN, catalogue_path, smoothed

RIDGE = 1.0
OWN_NEIGHBOUR = 5
SILENT_DAYS = 5 * 365.25
MONTHS, MONTHS_OF_WINDOW = 24, 6
"""Between one map and the next."""
FEWEST = 30
"""Events of a region: those with fewer are left out."""


class Setting(NamedTuple):
    """A catalogue and its years: history, training, validation, test, end."""

    files: tuple[str, ...]
    regions: str
    """`all` of the table, or the id of one; `polygon` of the benchmark."""
    magnitude_of_completeness: float
    years: tuple[str, str, str, str, str]
    step: float
    narrowest_km: float


SETTINGS = {
    "world": Setting(("global_m5_2009_2025_merged_until_2023.csv.xz",), "all", 5.0,
                     ("2009-01-01", "2010-01-01", "2015-01-01", "2019-01-01", "2022-04-01"), 0.5, 5.0),
    "japan": Setting(("japan_m45_1975_2021.csv.xz",), "japan", 4.5,
                     ("1975-01-01", "1980-01-01", "2005-01-01", "2013-01-01", "2022-01-01"), 0.25, 2.0),
    "california": Setting(("ComCat_25.csv.xz",), "polygon", 3.0,
                          ("1971-01-01", "1981-01-01", "1993-01-01", "1999-01-01", "2007-01-01"), 0.1, 1.0),
}  # fmt: skip


class Part(NamedTuple):
    """One region: its cells are `first` … `first + len(cells)` of all."""

    background: Background
    cells: Cells
    first: int


class Columns(NamedTuple):
    """The columns of a map, (C, K) each."""

    before: csr_matrix
    """In the years before the test."""
    after: csr_matrix
    """In the test years."""


class Scored(NamedTuple):
    """N background events of a span of years."""

    cells: IntArray
    """(N,)."""
    maps: IntArray
    """(N,) the row of the newest map."""
    times: IntArray
    is_silent: NDArray[np.bool_]
    """(N,) whether the cell had no event in the five years before."""


def patterns_of(setting: Setting) -> list[tuple[PointPattern, Cells]]:
    """Return the pattern and cells of each region."""
    folder = DATA if setting.regions == "polygon" else catalogue_path("").resolve()
    read = [item for file in setting.files for item in read_catalog(folder / file) if isinstance(item, Event)]
    span = Span(Instant.parse(setting.years[0]), Instant.parse(setting.years[4]))
    if setting.regions == "polygon":
        shape = read_polygon(DATA / "california_shape.npy")
        return [(make_point_pattern(read, setting.magnitude_of_completeness, span, shape), cells_of(shape, setting.step))]
    table, events, found = RegionTable.load(), earthquakes(read), []
    regions = [table.region_of(one.latitude, one.longitude).id for one in events]
    for name in [region.id for region in table] if setting.regions == "all" else [setting.regions]:
        own = [one for one, region in zip(events, regions, strict=True) if region == name]
        pattern = make_point_pattern(own, setting.magnitude_of_completeness, span)
        if len(pattern) >= FEWEST:
            found.append((pattern, cells_of(table.shape(name), setting.step)))
    return found


class Trial:
    """The maps and events of one setting."""

    def __init__(self, setting: Setting, network: SpaceTimeNetwork, every_months: int) -> None:
        self.setting, self.parts, first = setting, list[Part](), 0
        history, self.train, self.validation, self.test, self.end = (Instant.parse(one) for one in setting.years)
        for pattern, cells in patterns_of(setting):
            self.parts.append(Part(background_of(network, pattern, Span(history, self.validation)), cells, first))
            first += len(cells.latitudes)
        self.offsets = np.array([part.first for part in self.parts])
        self.region_of_cell = np.repeat(np.arange(len(self.parts)), [len(part.cells.latitudes) for part in self.parts])
        self.log_areas = log_floor(np.concatenate([part.cells.areas for part in self.parts]))
        first_year, last_year = int(setting.years[2][:4]), int(str(self.end.plus(seconds=-1.0))[:4])
        months = range(12 * first_year, 12 * last_year + 12, every_months)
        self.moments = [Instant.parse(f"{month // 12}-{month % 12 + 1:02d}-01") for month in months]

    def at_cells(self, function: Callable[[FloatArray, FloatArray], Any]) -> Any:
        """Return a function of the latitudes and longitudes of all cells, (C, …)."""
        latitudes, longitudes = (np.concatenate([getattr(part.cells, name) for part in self.parts]) for name in ("latitudes", "longitudes"))
        return function(latitudes, longitudes)

    def at_moments(self, of_part: Callable[[Part, Instant], FloatArray]) -> FloatArray:
        """Return ln of a map at each moment, (Y, C)."""
        return np.stack([log_floor(np.concatenate([of_part(part, moment) for part in self.parts])) for moment in self.moments])

    def scored(self, start: Instant, end: Instant) -> Scored:
        """Return the background events from `start` to `end`."""
        columns = [self._of_part(part, start, end) for part in self.parts]
        cells, times, silent = (np.concatenate(one) for one in zip(*columns, strict=True))
        order = np.argsort(times, kind="stable")
        maps = np.searchsorted(np.array([int(moment) for moment in self.moments]), times[order], side="right") - 1
        return Scored(cells[order], maps, times[order], silent[order])

    def _of_part(self, part: Part, start: Instant, end: Instant) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
        pattern = part.background.pattern
        cells, rows = part.cells.of(pattern.latitudes, pattern.longitudes), pattern.rows(Span(start, end))
        chosen = np.arange(rows.start, rows.stop)
        chosen = chosen[(part.background.probabilities[chosen] > 0.5) & (cells[chosen] >= 0)]
        last = {int(cell): -np.inf for cell in cells}
        since = np.empty(len(cells))
        for row, (cell, day) in enumerate(zip(cells.tolist(), pattern.days.tolist(), strict=True)):
            since[row], last[cell] = day - last[cell], day
        return cells[chosen] + part.first, pattern.times[chosen], since[chosen] > SILENT_DAYS

    def normalised(self, log_shares: FloatArray) -> FloatArray:
        """Return ln shares (C,) such that they add up to 1 in each region."""
        top = np.maximum.reduceat(log_shares, self.offsets)[self.region_of_cell]
        sums = np.add.reduceat(np.exp(log_shares - top), self.offsets)[self.region_of_cell]
        return np.asarray(log_shares - top - np.log(sums), np.float64)

    @property
    def positions(self) -> FloatArray:
        """(C, 3) of the cells, km."""
        found: FloatArray = self.at_cells(lambda latitudes, longitudes: positions_km(places(latitudes, longitudes)))
        return found

    def known_density(self, until: Instant, at: FloatArray) -> FloatArray:
        """Return ln of the density of all regions' background events before a moment, smoothed, at positions, (P, 3) km -> (P,)."""
        patterns = [part.background.pattern for part in self.parts]
        stops = [int(np.searchsorted(one.times, int(until))) for one in patterns]
        sites = np.concatenate([one.positions_km[:stop] for one, stop in zip(patterns, stops, strict=True)])
        weights = np.concatenate([part.background.probabilities[:stop] for part, stop in zip(self.parts, stops, strict=True)])
        return np.log(smoothed(at, sites, weights, OWN_NEIGHBOUR, self.setting.narrowest_km)) + LOG_MEAN

    def fit_log_linear(self, columns: Columns, events: Scored) -> FloatArray:
        """Return ln s at each moment, (Y, C), of the largest likelihood of events in their regions' cells: p ∝ area exp(columns θ)."""
        theta = self.fit_weights_of_columns(columns.before, events)
        both = [self.normalised(self.log_areas + one @ theta) for one in columns]
        return np.stack([both[moment >= self.test] for moment in self.moments])

    def fit_weights_of_columns(self, columns: csr_matrix, events: Scored) -> FloatArray:
        """Return θ of the largest likelihood, (K,)."""
        counts = np.bincount(events.cells, minlength=len(self.log_areas)).astype(np.float64)
        totals = np.add.reduceat(counts, self.offsets)[self.region_of_cell]

        def loss(theta: FloatArray) -> tuple[float, FloatArray]:
            log_s = self.normalised(self.log_areas + columns @ theta)
            value = -float(counts @ log_s) + 0.5 * RIDGE * float(theta @ theta)
            return value / counts.sum(), (columns.T @ (totals * np.exp(log_s) - counts) + RIDGE * theta) / counts.sum()

        return np.asarray(minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x)

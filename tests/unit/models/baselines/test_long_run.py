"""Each region's long-run rate of large earthquakes: counted where catalogues are complete, shrunk where events are few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from models.baselines.long_run import LARGE_MAGNITUDES, LongRunRates, RegionalRates, read_rates, write_rates
from models.baselines.long_run_fit import SHRINKAGE_EVENTS, Stretch, fit_rates
from tests.support.simulated import at, event

PLACES = {"japan": (38.0, 142.0), "chile": (-30.0, -71.5)}
DECADES = (Instant.parse("1950-01-01"), Instant.parse("2000-01-01"), Instant.parse("2010-01-01"))


def years_after(start: Instant, years: float) -> float:
    return (start - at(0.0)) / 3_600_000 + years * 24.0 * 365.25


def events(region: str, start: Instant, magnitudes: list[float]) -> list[Event]:
    latitude, longitude = PLACES[region]
    return [
        event(f"{region}{start}{n}", years_after(start, 0.01 + 0.05 * n), size, latitude=latitude, longitude=longitude)
        for n, size in enumerate(magnitudes)
    ]


def fitted() -> LongRunRates:
    old = events("japan", DECADES[0], [6.0] * 50 + [5.0] * 100) + events("chile", DECADES[0], [6.5] * 10)
    new = events("japan", DECADES[1], [5.2] * 90 + [6.1] * 10) + events("chile", DECADES[1], [5.0] * 50)
    return fit_rates([Stretch(6.0, *DECADES[:2], old), Stretch(5.0, *DECADES[1:], new)], RegionTable.load())


def test_each_magnitude_is_counted_where_the_catalogue_is_complete_for_it() -> None:
    rates, table = fitted(), RegionTable.load()
    japan, chile = (rates.of(table[name]) for name in PLACES)
    assert japan is not None
    assert chile is not None
    assert japan[0] == pytest.approx(100.5 / 10.0, rel=1e-3)
    assert chile[0] == pytest.approx(50.5 / 10.0, rel=1e-3)
    assert chile[1] < japan[1] < 61.0 / 60.0
    assert chile[1] > 10.0 / 60.0  # shrunk towards the ratio of both regions together


def test_a_region_without_large_events_has_the_ratio_of_all() -> None:
    rates = fitted().regions
    totals = np.array([one.per_year for one in rates.values()])
    quiet = np.array(rates["italy"].per_year)
    prior = quiet[0] * 70.5 / 60.0 / totals[:, 0].sum()
    assert quiet[1] == pytest.approx(SHRINKAGE_EVENTS / (60.0 + SHRINKAGE_EVENTS / prior), rel=2e-2)


def test_every_region_s_rates_fall_with_the_magnitude(tmp_path: Path) -> None:
    write_rates(fitted(), tmp_path / "rates.json")
    assert read_rates(tmp_path / "rates.json") == fitted()
    table = RegionTable.load()
    built_in = read_rates()
    assert set(built_in.regions) == {region.id for region in table}
    assert built_in.of(table["japan"]) is not None


def test_a_region_of_another_completeness_is_another_region() -> None:
    rates = LongRunRates({"japan": RegionalRates(3.0, (3.0, 0.3, 0.03))})
    assert rates.of(RegionTable.load()["japan"]) is None


@pytest.mark.parametrize("per_year", [(3.0, 4.0, 0.1), (3.0, 0.3, 0.0), (3.0,) * len(LARGE_MAGNITUDES), (3.0,)])
def test_a_file_of_inconsistent_rates_is_refused(tmp_path: Path, per_year: tuple[float, ...]) -> None:
    write_rates(LongRunRates({"japan": RegionalRates(4.5, per_year)}), tmp_path / "rates.json")
    with pytest.raises(Problem):
        read_rates(tmp_path / "rates.json")
    with pytest.raises(Problem):
        read_rates(tmp_path / "missing.json")

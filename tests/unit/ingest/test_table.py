"""Text tables of events in their several forms, and change logs."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.event import DeadLetter, Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.table import Observation, read_changelog, read_table

HEADER = (
    "time,latitude,longitude,depth,mag,magType,nst,gap,dmin,rms,net,id,updated,place,type,horizontalError,depthError,magError,magNst,status,"
    "locationSource,magSource"
)
ROW = (
    "2023-02-06T01:17:35.796Z,37.1736,37.032,17.925,7.8,mww,118,32,1.919,1.06,us,us6000jllz,2023-02-06T02:03:55.040Z,"
    '"Nurdağı, Turkey",earthquake,5.83,3.676,0.05,38,reviewed,us,us'
)


def read(*lines: str) -> tuple[list[Event], list[str]]:
    items = list(read_table(io.StringIO("\n".join(lines) + "\n"), "catalogue.csv"))
    return [item for item in items if isinstance(item, Event)], [item.reason for item in items if isinstance(item, DeadLetter)]


def read_log(*lines: str) -> list[Observation | DeadLetter]:
    return list(read_changelog(io.StringIO("\n".join(lines) + "\n"), "changes.csv"))


def test_the_22_columns_of_a_usgs_csv_give_the_whole_event() -> None:
    events, reasons = read(HEADER, ROW)
    assert reasons == []
    assert events == [
        Event(
            id="us6000jllz", time=Instant.parse("2023-02-06T01:17:35.796Z"), updated=Instant.parse("2023-02-06T02:03:55.040Z"),
            latitude=37.1736, longitude=37.032, depth_km=17.925, magnitude=7.8, magnitude_type="mww", type="earthquake", status="reviewed",
            network="us", place="Nurdağı, Turkey", source_id="us6000jllz",
        )
    ]  # fmt: skip


def test_columns_that_the_older_form_lacks_are_no_oddities() -> None:
    events, reasons = read(",".join(HEADER.split(",")[:15]), ROW.rpartition(",5.83")[0])
    assert reasons == []
    assert events[0].status == "reviewed"


def test_columns_are_found_by_name_in_any_order_and_case() -> None:
    events, reasons = read("\ufeffMAG,Latitude,LONGITUDE,Time,net,id,other", "5.5,-6.1,130.4,2014-12-06T22:05:10.730Z,us,us1,anything")
    assert reasons == []
    assert (events[0].id, events[0].magnitude, events[0].latitude) == ("us1", 5.5, -6.1)
    assert events[0].updated == events[0].time


def test_the_legacy_form_has_american_dates_capitals_and_a_few_iso_rows() -> None:
    header = "Date,DAY,MONTH,YEAR,Time,LATITUDE,LONGITUDE,Type,Depth,Magnitude,Magnitude Type,ID,Source,Location Source,Status"
    events, reasons = read(
        header,
        "1/2/1965,2,1,1965,3:44:18,19.2,145.6,Earthquake,131.6,6.0,MW,ISCGEM860706,ISCGEM,ISCGEM,Automatic",
        "10/27/1973,27,10,1973,06:59:57,70.8,54.2,Nuclear Explosion,0,6.9,MB,USP00002D7,US,US,Reviewed",
        "1975-02-23T02:58:41.000Z,#VALUE!,#VALUE!,#VALUE!,1975-02-23T02:58:41.000Z,8.0,124.1,Earthquake,623,5.6,MB,USP0000A09,US,US,Reviewed",
    )
    assert reasons == []
    assert [str(event.time) for event in events] == ["1965-01-02T03:44:18.000Z", "1973-10-27T06:59:57.000Z", "1975-02-23T02:58:41.000Z"]
    assert [event.type for event in events] == ["earthquake", "nuclear explosion", "earthquake"]
    assert (events[0].id, events[0].network, events[0].status, events[0].magnitude_type) == ("iscgem860706", "iscgem", "automatic", "mw")


def test_a_benchmark_row_gets_an_id_that_is_the_same_in_every_copy() -> None:
    rows = "2008-01-01T05:19:47.961Z,-116.66409,33.61819,1.23", "2008-01-01T07:08:36.601Z,-116.09156,33.16443,1.02"
    plain, _ = read("time,longitude,latitude,magnitude", *rows)
    split, reasons = read("time,longitude,latitude,magnitude,split", *(f"{row},train" for row in reversed(rows)))
    assert reasons == []
    assert {event.id for event in plain} == {event.id for event in split}
    assert len({event.id for event in plain}) == 2


def test_fdsn_text_is_a_table_with_bars_and_without_quoting() -> None:
    header = (
        "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType|Magnitude|MagAuthor|EventLocationName"
    )
    events, reasons = read(header, 'us7|2023-02-06T01:17:35.796|37.2|37.0|17.9|us|us|us|us7|mww|7.8|us|near "Nurdağı, Turkey')
    assert reasons == []
    assert (events[0].id, events[0].network, events[0].place) == ("us7", "us", 'near "Nurdağı, Turkey')


def test_further_columns_of_a_catalogue_are_ignored() -> None:
    events, _ = read(f"{HEADER},first_seen,first_time,first_mag", f"{ROW},2023-02-06T01:20:00Z,2023-02-06T01:17:30Z,7.2")
    assert events[0].magnitude == 7.8


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2018-12-06T13:44:36.940Z,-6.52", "row_damaged"),
        (ROW.replace('"', ""), "row_damaged"),
        (ROW.replace("37.1736", "97.1736"), "latitude_out_of_range"),
        (ROW.replace("37.1736", ""), "place_missing"),
        (ROW.replace("us6000jllz", ""), "id_missing"),
        (ROW.replace("2023-02-06T01:17:35.796Z", "1970-01-01T00:00:02.-2147483648Z"), "time_damaged"),
    ],
)
def test_a_bad_row_is_a_dead_letter_and_the_rest_is_used(row: str, reason: str) -> None:
    events, reasons = read(HEADER, row, ROW, "")
    assert reasons == [reason]
    assert [event.id for event in events] == ["us6000jllz"]


def test_an_open_quotation_mark_damages_its_row_and_those_that_it_includes() -> None:
    others = [ROW.replace("us6000jllz", f"us{k}") for k in range(5)]
    events, reasons = read(HEADER, others[0], ROW.replace('Turkey"', "Turkey"), *others[1:])
    assert reasons == ["row_damaged"]
    assert others[0].split(",")[11] in [event.id for event in events]


def test_reading_continues_after_a_cell_that_is_too_long() -> None:
    open_for_long = ROW.replace('Turkey"', "Turkey" + " " * 140_000)
    _, reasons = read(HEADER, open_for_long, ROW)
    assert set(reasons) == {"row_damaged"}


def test_of_two_rows_with_one_id_the_newest_is_kept() -> None:
    newer = ROW.replace("02:03:55.040Z", "09:00:00.000Z").replace(",7.8,", ",7.7,")
    for rows in ((ROW, newer), (newer, ROW)):
        events, reasons = read(HEADER, *rows)
        assert reasons == ["duplicate_id"]
        assert [event.magnitude for event in events] == [7.7]


@pytest.mark.parametrize("lines", [(ROW,), ("time,latitude,longitude", "2020-01-01,1,2"), ("",)])
def test_a_table_without_a_header_is_a_problem_that_says_what_to_do(lines: Iterable[str]) -> None:
    with pytest.raises(Problem, match=r"catalogue\.csv has no header line.*put one at its top, such as time,latitude"):
        read(*lines)


def test_a_change_log_gives_its_observations() -> None:
    first, deleted = read_log(
        f"observed_at,prev_snapshot_at,op,{HEADER}",
        f"2023-02-06T02:05:00Z,2023-02-06T02:02:30Z,new,{ROW}",
        f"2023-02-06T03:05:00Z,2023-02-06T03:02:30Z,delete,{',' * 11}us6000jllz{',' * 10}",
    )
    assert isinstance(first, Observation)
    assert first.event is not None
    assert (first.op, first.id, first.event.magnitude, str(first.observed_at)) == ("new", "us6000jllz", 7.8, "2023-02-06T02:05:00.000Z")
    assert deleted == Observation(Instant.parse("2023-02-06T03:05:00Z"), "delete", "us6000jllz", None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"yesterday,,new,{ROW}", "observed_at_damaged"),
        (f"2023-02-06T02:05:00Z,,replace,{ROW}", "op_unknown"),
        (f"2023-02-06T02:05:00Z,,delete{',' * 22}", "id_missing"),
        (f"2023-02-06T01:00:00Z,,new,{ROW}", "time_in_future"),
        ("2023-02-06T01:00:00Z,,new", "row_damaged"),
    ],
)
def test_a_bad_row_of_a_change_log_is_a_dead_letter_and_no_observation(row: str, reason: str) -> None:
    (letter,) = read_log(f"observed_at,prev_snapshot_at,op,{HEADER}", row)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.used) == (reason, False)


def test_a_repaired_row_of_a_change_log_is_an_observation_and_then_a_dead_letter() -> None:
    observation, letter = read_log(
        f"observed_at,prev_snapshot_at,op,{HEADER}", f"2023-02-06T02:05:00Z,,update,{ROW.replace(',7.8,', ',,')}"
    )
    assert isinstance(observation, Observation)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.observed_at, letter.id) == ("magnitude_missing", observation.observed_at, "us6000jllz")


@given(st.text(max_size=120), st.integers(0, 250), st.integers(0, 250))
def test_damaged_tables_never_raise_and_their_events_are_in_range(noise: str, start: int, end: int) -> None:
    events, _ = read(HEADER, ROW[:start] + noise + ROW[end:], ROW)
    for event in events:
        assert abs(event.latitude) <= 90
        assert abs(event.longitude) <= 180
        assert event.magnitude is None or abs(event.magnitude) <= 12


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("DateTime,Latitude,Longitude,Depth,Magnitude,MagType,NbStations,EventID", "2023/02/06 01:17:35.79,37.17,37.03,17.9,7.8,Mww,118,7"),
        ("id,time,latitude,longitude,depth,mag", "7,1675646255790,37.17,37.03,17.9,7.8"),
        ("time,latitude,longitude,mag,id,date", "2023-02-06T01:17:35.790Z,37.17,37.03,7.8,7,2023-02-06"),
        ("time,magnitudo,longitude,latitude,id,date", "1675646255790,7.8,37.03,37.17,7,2023-02-06 01:17:35.790000+00:00"),
        ("Date;Time;Latitude;Longitude;Magnitude;ID", "2023.02.06;01:17:35.79;37.17;37.03;7.8;7"),
        ("Date,Latitude,Longitude,Magnitude,ID", "2023-02-06 01:17:35.79,37.17,37.03,7.8,7"),
        ("year,month,day,hour,minute,second,latitude,longitude,magnitude,id", "2023,2,6,1,17,35.79,37.17,37.03,7.8,7"),
        ("Year,Mo,Da,Ho,Mi,Se,Lat,Lon,Mag,ID", "2023.0,2.0,6.0,1.0,17.0,35.79,37.17,37.03,7.8,7"),
        ("year,month,day,time,latitude,longitude,magnitude,id", "2023,2,6,01:17:35.79,37.17,37.03,7.8,7"),
    ],
)
def test_a_time_is_found_in_one_column_or_put_together_from_several(header: str, row: str) -> None:
    events, reasons = read(header, row)
    assert reasons == []
    assert [(str(event.time), event.id, event.magnitude) for event in events] == [("2023-02-06T01:17:35.790Z", "7", 7.8)]


def test_days_come_before_months_when_a_day_above_twelve_shows_it() -> None:
    rows = [f"{day:02d}/02/2014,05:39:49,36.5,-119.7,11.3,3.0" for day in range(1, 28)]
    events, reasons = read("Date,Time,Latitude,Longitude,Depth,Magnitude", *rows)
    assert reasons == []
    assert [str(event.time)[:10] for event in events] == [f"2014-02-{day:02d}" for day in range(1, 28)]


def test_dates_that_could_be_either_way_round_are_refused_whole() -> None:
    with pytest.raises(Problem, match="whether the day or the month comes first; write dates as year-month-day"):
        read("Date,Time,Latitude,Longitude,Depth,Magnitude", "01/02/2014,05:39:49,36.5,-119.7,11.3,3.0")


def test_a_second_of_sixty_is_used_and_noted() -> None:
    events, reasons = read("time,latitude,longitude,mag,id", "2016-12-31T23:59:60.5Z,37,38,5,a")
    assert (str(events[0].time), reasons) == ("2017-01-01T00:00:00.500Z", ["time_carried_over"])


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("ke", "earthquake"), ("se", "earthquake"), ("uk", "earthquake"), ("", "earthquake"),
        ("km", "mining explosion"), ("quarry blast", "quarry blast"), ("sonic boom", "sonic boom"),
    ],
)  # fmt: skip
def test_types_in_two_letters_or_words_become_words(written: str, kind: str) -> None:
    events, _ = read("time,latitude,longitude,mag,event_type,id", f"2016-12-31T23:59:00Z,37,38,5,{written},a")
    assert events[0].type == kind

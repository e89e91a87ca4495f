"""Times as catalogues write them, and dates whose day could be their month."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instant import Instant
from ingest.problem import Problem
from ingest.written_time import find_day_order, has_year_last, is_carried_over, parse_written_time, with_year_first

FORMS = (
    "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S+00:00", "%Y/%m/%d %H:%M:%S.00",
    "%Y.%m.%d %H:%M:%S", "%Y/%m/%d, %H:%M:%S GMT", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S.000000000Z", "%Y-%m-%d %H:%M:%S+00",
)  # fmt: skip


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0)), st.sampled_from(FORMS))
def test_a_moment_written_in_any_form_is_read_back(moment: datetime, form: str) -> None:
    assert parse_written_time(moment.strftime(form)) == Instant.of(moment.replace(tzinfo=UTC))


@given(st.integers(1_104_537_600_000, 4_000_000_000_000))
def test_milliseconds_and_seconds_since_1970_are_told_apart_by_their_digits(milliseconds: int) -> None:
    assert parse_written_time(str(milliseconds)) == milliseconds
    assert parse_written_time(str(milliseconds // 1_000)) == milliseconds // 1_000 * 1_000


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2016-12-31T23:59:60.123Z", "2017-01-01T00:00:00.123Z"),
        ("2014-03-28T15:21:60.000Z", "2014-03-28T15:22:00.000Z"),
        ("2014-02-28 24:00:00", "2014-03-01T00:00:00.000Z"),
        ("2014-01-01 04:60:61.33", "2014-01-01T05:01:01.330Z"),
    ],
)
def test_a_second_of_60_and_an_hour_of_24_are_carried_over(written: str, moment: str) -> None:
    assert str(parse_written_time(written)) == moment
    assert is_carried_over(written)


@pytest.mark.parametrize("written", ["1977-10-27T00:24:00.500Z", "2014-01-01 10:24:00", "2014-01-01", "2014-01-01T23:59:59.600Z"])
def test_a_minute_of_24_is_not_carried_over(written: str) -> None:
    assert not is_carried_over(written)


@pytest.mark.parametrize(
    "written",
    [
        "", "never", "1970-01-01T00:00:02.-2147483648Z", "2014-02-30", "2014-06-05T25:00:00", "2014-06-05T10:61:00", "2014-06-05T10:00:62",
        "2014-06/05", "03/04/2014", "201406051010", "12345", "0001-01-01T00:60:61+0530", "9999-12-31T24:00:01", "9999-12-31T23:00-14:00",
    ],
)  # fmt: skip
def test_what_is_no_time_or_could_be_two_is_refused(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the standard library's messages differ
        parse_written_time(written)


@given(st.text(max_size=40))
def test_any_text_gives_a_time_or_a_value_error(text: str) -> None:
    try:
        parsed = parse_written_time(text)
    except (ValueError, OverflowError):
        return
    assert isinstance(parsed, Instant)


@pytest.mark.parametrize(
    ("dates", "order", "first"),
    [
        (["03/04/2014", "13/04/2014"], "day first", "2014-04-03"),
        (["03/04/2014 10:00", "04-13-2014 10:00"], "month first", "2014-03-04 10:00"),
    ],
)
def test_one_number_above_twelve_shows_the_order_of_all_dates(dates: list[str], order: str, first: str) -> None:
    found = find_day_order([*dates, "1975-02-23T02:58:41Z"], "catalogue.csv")
    assert found == order
    assert with_year_first(dates[0], found) == first
    assert with_year_first("1975-02-23T02:58:41Z", found) == "1975-02-23T02:58:41Z"
    assert has_year_last(dates[0])


@pytest.mark.parametrize(
    ("dates", "message"), [(["03/04/2014"], "none shows whether the day or the month"), (["13/04/2014", "04/13/2014"], "in two orders")]
)
def test_dates_that_do_not_show_their_order_are_a_problem_with_a_remedy(dates: list[str], message: str) -> None:
    with pytest.raises(Problem, match=rf"catalogue\.csv has dates.*{message}.*write dates as year-month-day"):
        find_day_order(dates, "catalogue.csv")

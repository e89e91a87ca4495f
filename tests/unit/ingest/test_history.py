"""Which records say that the past is still being read."""

from __future__ import annotations

from ingest.history import History
from ingest.sources.usgs import CHANNELS
from tests.support.simulated import at

DAY, UPDATES, WEEK, MONTH = (channel.name for channel in CHANNELS)


def read(history: History, *channels: str) -> list[bool]:
    """Return, after each of the channels was read, whether the past is still being read."""
    being_read = []
    for channel in channels:
        history.note_time(at(0), at(0))
        history.note_read(channel)
        being_read.append(history.is_being_read)
    return being_read


def test_at_the_first_start_every_channel_with_a_span_is_waited_for() -> None:
    history = History(CHANNELS)
    history.note_time(at(0), None)
    assert history.is_being_read
    assert read(history, DAY, UPDATES, WEEK, MONTH) == [True, True, True, False]


def test_after_a_gap_the_channels_that_reach_back_over_it_are_waited_for() -> None:
    for gap_hours, channels in (
        (2.9, ()),
        (5.0, (DAY,)),
        (30.0, (DAY, WEEK)),
        (24.0 * 9, (DAY, WEEK, MONTH)),
        (24.0 * 90, (DAY, WEEK, MONTH)),
    ):
        history = History(CHANNELS)
        history.note_time(at(gap_hours), at(0))
        assert history.is_being_read == bool(channels)
        assert read(history, *channels) == [*[True] * (len(channels) - 1), False][: len(channels)]


def test_a_channel_that_fails_again_and_again_is_not_waited_for() -> None:
    history = History(CHANNELS)
    history.note_time(at(0), None)
    assert read(history, DAY, WEEK) == [True, True]
    for failures in (1, 2):
        history.note_failure(MONTH, failures)
        assert history.is_being_read
    history.note_failure(MONTH, 3)
    assert not history.is_being_read

"""The life of a great earthquake's alert from its first report to its retraction, as alerts and as CAP messages."""

from __future__ import annotations

from tests.shows.alert_lifecycle import lifecycle


def test_another_id_and_a_larger_magnitude_are_updates_and_only_the_withdrawal_cancels() -> None:
    alerts, messages = zip(*lifecycle(), strict=True)
    assert [(alert.alert_type, alert.value, alert.active) for alert in alerts] == [
        ("initial", 8.0, True),
        ("update", 8.0, True),
        ("update", 8.8, True),
        ("retraction", 8.8, False),
    ]
    assert len({alert.id for alert in alerts}) == 1
    assert [alert.earthquake and alert.earthquake.source_id for alert in alerts] == ["ptdrill1", "usdrill1", "usdrill1", "usdrill1"]
    assert alerts[1].reason == "Its source now lists it as usdrill1, M 8.0; before it was ptdrill1, M 8.0. It is the same earthquake."
    assert alerts[2].reason == "The magnitude was revised from 8.0 to 8.8."
    for message, kind in zip(messages, (b"Alert", b"Update", b"Update", b"Cancel"), strict=True):
        assert b"<msgType>" + kind + b"</msgType>" in message
        assert b"<status>Exercise</status>" in message
        assert b"<web>https://earthquake.usgs.gov/" in message


def test_the_circle_grows_with_the_rupture() -> None:
    circles = [message.partition(b"<circle>")[2].partition(b"</circle>")[0] for _, message in lifecycle()]
    assert circles == [b"52.5000,160.3000 191"] * 2 + [b"52.5000,160.3000 565"] * 2

"""The forecasts that must be issued for some input records, and their scores, computed without the code of the stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ingest.bus.log import EVENTS, FORECASTS, Log, Record
from ingest.event import Change, Event, Heartbeat, InputRecord, Promotion, decode
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from stream.records.forecast import Forecast, decode_forecast

HOUR = 3_600_000
DAY = 24 * HOUR


def inputs(log: Log) -> list[tuple[int, InputRecord]]:
    """Return (partition, record) of the whole input log, each partition in order."""
    known = [(partition, decode(record.value)) for partition in log.starts(EVENTS) for record in _read_partition(log, EVENTS, partition)]
    return [(partition, record) for partition, record in known if not isinstance(record, Promotion)]


def forecasts(log: Log) -> list[bytes]:
    """Return all forecast records, each partition in order."""
    return [record.value for partition in log.starts(FORECASTS) for record in _read_partition(log, FORECASTS, partition)]


def _read_partition(log: Log, topic: str, partition: int) -> Iterable[Record]:
    return log.read(topic, partition, log.starts(topic)[partition], log.ends(topic)[partition])


def expected_ids(records: list[tuple[int, InputRecord]], issued: list[bytes], table: RegionTable) -> set[str]:
    """Return the ids of the forecasts that must be issued.

    There is one for each change of the events that a region's forecast depends on, and one for each heartbeat at or after `reissue_at` of
    the region's last forecast, unless the past is still being read then.
    """
    reissue = {forecast.id: forecast.reissue_at for forecast in map(decode_forecast, issued)}
    windows: dict[str, dict[str, Event]] = {}
    due: dict[str, Instant] = {}
    clocks: dict[int, Instant] = {}
    expected: set[str] = set()
    for partition, record in records:
        clocks[partition] = now = max(record.observed_at, clocks.get(partition, record.observed_at))
        regions = (
            [record.region]
            if isinstance(record, Change)
            else []
            if isinstance(record, Heartbeat) and record.catching_up
            else [r for r, at in due.items() if now >= at and _is_of_partition(r, reissue, partition)]
        )
        for region in regions:
            if isinstance(record, Change) and not _changes_window(record, windows.setdefault(region, {}), table, now):
                continue
            identity = f"{region}-{partition}-{record.sequence}"
            expected.add(identity)
            due[region] = reissue.get(identity, Instant(now + HOUR))
    return expected


def _is_of_partition(region: str, reissue: dict[str, Instant], partition: int) -> bool:
    return any(identity.startswith(f"{region}-{partition}-") for identity in reissue)


def _changes_window(change: Change, window: dict[str, Event], table: RegionTable | Mapping[str, Region], now: Instant) -> bool:
    region = table[change.region]
    oldest = now - region.window_days * DAY
    for event_id in [event_id for event_id, event in window.items() if event.time < oldest]:
        del window[event_id]
    before, event = window.pop(change.id, None), change.event
    if event is None or event.type != "earthquake" or event.magnitude is None:
        return before is not None
    if event.magnitude < region.magnitude_of_completeness or event.time < oldest:
        return before is not None
    window[change.id] = event
    return before is None or _forecast_inputs(before) != _forecast_inputs(event)


def _forecast_inputs(event: Event) -> tuple[object, ...]:
    return event.time, event.latitude, event.longitude, event.depth_km, event.magnitude


def forecasts_by_id(issued: list[bytes]) -> dict[str, Forecast]:
    return {forecast.id: forecast for forecast in map(decode_forecast, issued)}


def expected_scores(records: list[InputRecord], issued: list[Forecast], region: Region) -> list[tuple[int, float, int]]:
    """Return the score that each forecast of one region must have: settled events, log score per event, missed events.

    Computed from the records of one partition and the region's forecasts, for a forecaster whose hazard is constant between forecasts.
    The forecast in force at an event is the last one issued before it; the event counts if it is known a day after the next forecast.
    """
    known: dict[str, Event] = {}
    events, log_rates, expected, missed, settled, clock = 0, 0.0, 0.0, 0, 0, Instant(-(2**53))
    found: list[tuple[int, float, int]] = []
    by_sequence = {forecast.input_sequence: forecast for forecast in issued}
    moments = [forecast.issued_at for forecast in issued]
    for record in records:
        clock = max(clock, record.observed_at)
        forecast = by_sequence.get(record.sequence)
        if forecast is not None:
            while moments[settled + 1 : settled + 2] and moments[settled + 1] <= clock - DAY:
                since, until, rate = moments[settled], moments[settled + 1], issued[settled].wait.hazard_per_day
                count = sum(since < event.time <= until for event in known.values())
                events, log_rates, expected = events + count, log_rates + count * math.log(rate), expected + rate * (until - since) / DAY
                settled += 1
        if isinstance(record, Change) and record.region == region.id:
            before = known.get(record.id)
            _changes_window(record, known, {region.id: region}, clock)
            after = known.get(record.id)
            in_settled = [e is not None and bool(moments) and moments[0] < e.time <= moments[settled] for e in (before, after)]
            missed += in_settled == [False, True]
        if forecast is not None:
            found.append((events, (log_rates - expected) / max(events, 1), missed))
    return found

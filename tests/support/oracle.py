"""Which input records call for a forecast, and which score each must carry, found without the stream's code: plain dictionaries and the
rules' own words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ingest.bus.log import EVENTS, FORECASTS, Log, Record
from ingest.event import Change, Event, InputRecord, Promotion, decode
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from stream.records.forecast import Forecast, decode_forecast

HOUR = 3_600_000
DAY = 24 * HOUR


def inputs(log: Log) -> list[tuple[int, InputRecord]]:
    """(partition, record) of the whole input log, each partition in order."""
    known = [(partition, decode(record.value)) for partition in log.starts(EVENTS) for record in _all(log, EVENTS, partition)]
    return [(partition, record) for partition, record in known if not isinstance(record, Promotion)]


def forecasts(log: Log) -> list[bytes]:
    """All forecast records, each partition in order."""
    return [record.value for partition in log.starts(FORECASTS) for record in _all(log, FORECASTS, partition)]


def _all(log: Log, topic: str, partition: int) -> Iterable[Record]:
    return log.read(topic, partition, log.starts(topic)[partition], log.ends(topic)[partition])


def expected_ids(records: list[tuple[int, InputRecord]], issued: list[bytes], table: RegionTable) -> set[str]:
    """Ids of the forecasts that there must be: one for each change of what a region's forecast rests on, and for each heartbeat on or after
    the time at which the region's last forecast said that it would be reissued."""
    reissue = {forecast.id: forecast.reissue_at for forecast in map(decode_forecast, issued)}
    held: dict[str, dict[str, Event]] = {}
    due: dict[str, Instant] = {}
    clocks: dict[int, Instant] = {}
    expected: set[str] = set()
    for partition, record in records:
        clocks[partition] = now = max(record.observed_at, clocks.get(partition, record.observed_at))
        regions = (
            [record.region]
            if isinstance(record, Change)
            else [r for r, at in due.items() if now >= at and _partition(r, reissue, partition)]
        )
        for region in regions:
            if isinstance(record, Change) and not _changes(record, held.setdefault(region, {}), table, now):
                continue
            identity = f"{region}-{partition}-{record.sequence}"
            expected.add(identity)
            due[region] = reissue.get(identity, Instant(now + HOUR))
    return expected


def _partition(region: str, reissue: dict[str, Instant], partition: int) -> bool:
    return any(identity.startswith(f"{region}-{partition}-") for identity in reissue)


def _changes(change: Change, held: dict[str, Event], table: RegionTable | Mapping[str, Region], now: Instant) -> bool:
    region = table[change.region]
    oldest = now - region.window_days * DAY
    for event_id in [event_id for event_id, event in held.items() if event.time < oldest]:
        del held[event_id]
    before, event = held.pop(change.id, None), change.event
    if event is None or event.type != "earthquake" or event.magnitude is None:
        return before is not None
    if event.magnitude < region.magnitude_of_completeness or event.time < oldest:
        return before is not None
    held[change.id] = event
    return before is None or _facts(before) != _facts(event)


def _facts(event: Event) -> tuple[object, ...]:
    return event.time, event.latitude, event.longitude, event.depth_km, event.magnitude


def by_identity(issued: list[bytes]) -> dict[str, Forecast]:
    return {forecast.id: forecast for forecast in map(decode_forecast, issued)}


def scores(records: list[InputRecord], issued: list[Forecast], region: Region) -> list[tuple[int, float, int]]:
    """By forecast of one region, the score that it must carry: settled events, log score per event, missed events.

    From the records of one partition and the region's forecasts alone, for a forecaster whose hazard stays what the forecast said. The
    forecast in force at an event is the last one issued before it; it counts when it is known a day after that forecast's successor.
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
                came = sum(since < event.time <= until for event in known.values())
                events, log_rates, expected = events + came, log_rates + came * math.log(rate), expected + rate * (until - since) / DAY
                settled += 1
        if isinstance(record, Change) and record.region == region.id:
            before = known.get(record.id)
            _changes(record, known, {region.id: region}, clock)
            after = known.get(record.id)
            in_settled = [e is not None and bool(moments) and moments[0] < e.time <= moments[settled] for e in (before, after)]
            missed += in_settled == [False, True]
        if forecast is not None:
            found.append((events, (log_rates - expected) / max(events, 1), missed))
    return found

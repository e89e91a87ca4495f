"""The current state of the log: events, forecasts, outlooks, alerts, models, as a fold of its records. No IO, no clock; one thread.

Its memory is bounded: 30 days of events, the last forecasts of each region, the last alerts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from statistics import median, quantiles
from typing import TypeVar

import msgspec

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MAPS, MODELS, OUTLOOKS, Record
from ingest.event import Change, Heartbeat, LogRecord, Outage, Promotion, WhyNotLive, decode, decode_dead_letter
from ingest.instant import MILLISECONDS_PER_SECOND, Instant
from ingest.region import RegionTable
from stream.promotion import decode_promotion_record as decode_model
from stream.records import Activation, Alert, Calibration, Forecast, RegionOutlook, decode_alert, decode_forecast, decode_outlook
from stream.serve.event_index import EventIndex

SPAN_DAYS = 30.0
"""How many days of stream time are kept."""
FORECASTS_KEPT = 200
OUTLOOKS_KEPT = 50
ALERTS_KEPT = 5_000
MODELS_KEPT = 500
SETTLE_EVERY_HOURS = 6.0
LATENCIES_KEPT = 1_000
PENDING_CHANGES_KEPT = 10_000
Item = TypeVar("Item")


class Latencies:
    """Delays between the stages that a record passes, as this server reads them."""

    def __init__(self) -> None:
        self.origin_to_log: deque[float] = deque(maxlen=LATENCIES_KEPT)
        """Seconds from an event's origin to the feed's time when it first appeared."""
        self.log_to_forecast: deque[float] = deque(maxlen=LATENCIES_KEPT)
        """Seconds from reading a change to reading the forecast that rests on it."""
        self._pending: dict[tuple[int, int], float] = {}
        self._began_at: dict[int, Instant] = {}
        """By partition, the time of the first change: events that the feed had then came with no measurable delay."""

    def observe_change(self, change: Change, partition: int, read_at: float | None) -> None:
        """Take the delay of an added event, and remember when its change was read."""
        began = self._began_at.setdefault(partition, change.observed_at)
        if change.kind == "added" and change.event is not None and change.observed_at > began:
            self.origin_to_log.append((change.observed_at - change.event.time) / 1_000)
        if read_at is not None:
            self._pending[partition, change.sequence] = read_at
            while len(self._pending) > PENDING_CHANGES_KEPT:
                del self._pending[next(iter(self._pending))]

    def observe_forecast(self, forecast: Forecast, read_at: float | None) -> None:
        """Take the delay of a forecast since its change was read."""
        change_read_at = self._pending.pop((forecast.input_partition, forecast.input_sequence), None)
        if change_read_at is not None and read_at is not None:
            self.log_to_forecast.append(max(0.0, read_at - change_read_at))


def median_or_none(values: Iterable[float]) -> float | None:
    """Return the median, rounded to milliseconds; None without values."""
    numbers = list(values)
    return round(median(numbers), 3) if numbers else None


def percentile_99_or_none(values: Iterable[float]) -> float | None:
    """Return the 99th percentile, rounded to milliseconds; None without values."""
    numbers = list(values)
    return round(quantiles(numbers, n=100, method="inclusive")[-1] if len(numbers) > 1 else numbers[0], 3) if numbers else None


class View:
    """Takes the records of all topics as they are read; those of one partition in their order."""

    def __init__(self) -> None:
        self.events = EventIndex()
        self.forecasts: dict[str, deque[Forecast]] = {}
        """By region, its last forecasts, oldest first."""
        self.outlooks: dict[str, deque[RegionOutlook]] = {}
        self.maps: dict[str, bytes] = {}
        """By region, its latest map as in the topic: decoded, all of them would take some fifty megabytes."""
        self.calibration = Calibration()
        self.alerts: dict[str, list[Alert]] = {}
        """By alert id, its revisions; the alerts in the order of their last revision."""
        self.models: deque[Promotion | Activation] = deque(maxlen=MODELS_KEPT)
        self.dead_letters: Counter[str] = Counter()
        self.unreadable = 0
        self.latencies = Latencies()
        self.stream_time: Instant | None = None
        """The feed's own time, as of its last heartbeat."""
        self.heartbeat_read_at: float | None = None
        """When that heartbeat was read (monotonic seconds); None if it was in the log before the start."""
        self.outage: Outage | None = None
        self.why_not_live: WhyNotLive | None = None
        """Why the newest input record is not live; None when it is."""
        self.catching_up = False
        """Whether the newest input record says that the past is still being read."""
        self.sequences: dict[int, int] = {}
        """By partition, the sequence number of the last input record."""
        self.model: tuple[str, Instant] | None = None
        """The model that forecasts, and since when."""
        self.forecasts_read = 0
        self._dropped_at: Instant | None = None
        self._settled_at: Instant | None = None
        self._handlers: dict[str, Callable[[Record, float | None], None]] = {
            EVENTS: self._apply_input, FORECASTS: self._apply_forecast, OUTLOOKS: self._apply_outlook, MAPS: self._apply_map,
            ALERTS: self._apply_alert, MODELS: self._apply_model, DEAD_LETTERS: self._apply_dead_letter,
        }  # fmt: skip

    def apply(self, record: Record, read_at: float | None = None) -> None:
        """Apply one record. A record that cannot be decoded is counted and skipped.

        Args:
            record: of any topic.
            read_at: when it was read (monotonic seconds); None if it was in the log before the server started.
        """
        try:
            self._handlers[record.topic](record, read_at)
        except (msgspec.MsgspecError, ValueError):
            self.unreadable += 1

    def _apply_input(self, record: Record, read_at: float | None) -> None:
        entry: LogRecord = decode(record.value)
        if isinstance(entry, Promotion):
            return
        self.sequences[record.partition] = entry.sequence
        self.why_not_live = entry.why_not_live or ("replay" if entry.test else None)
        self.catching_up = not isinstance(entry, Outage) and entry.catching_up
        if isinstance(entry, Outage):
            self.outage = entry
        elif isinstance(entry, Heartbeat):
            self._apply_heartbeat(entry, read_at)
        else:
            self.events.apply(entry)
            self.latencies.observe_change(entry, record.partition, read_at)
            self._advance(entry.observed_at)

    def _apply_heartbeat(self, heartbeat: Heartbeat, read_at: float | None) -> None:
        self.heartbeat_read_at = read_at if read_at is not None else self.heartbeat_read_at
        if self.outage is not None and heartbeat.observed_at > self.outage.observed_at:
            self.outage = None
        self._advance(heartbeat.observed_at)

    def _advance(self, time: Instant) -> None:
        """Move the stream time forward; at intervals, drop old events and settle the calibration."""
        self.stream_time = max(time, self.stream_time or time)
        if self._dropped_at is None or self.stream_time > self._dropped_at.plus(days=1):
            self._dropped_at = self.stream_time
            self.events.drop_before(self.stream_time.plus(days=-SPAN_DAYS))
        if self._settled_at is None or self.stream_time > self._settled_at.plus(hours=SETTLE_EVERY_HOURS):
            self._settled_at = self.stream_time
            self.calibration.settle(self.events.by_region(), self.stream_time)

    def _apply_forecast(self, record: Record, read_at: float | None) -> None:
        forecast = decode_forecast(record.value)
        _recent(self.forecasts, forecast.region, FORECASTS_KEPT).append(forecast)
        self.forecasts_read += 1
        self.calibration.take(forecast)
        self.latencies.observe_forecast(forecast, read_at)
        if self.model is None or self.model[0] != forecast.model:
            self.model = (forecast.model, forecast.issued_at)

    def _apply_outlook(self, record: Record, _: float | None) -> None:
        outlook = decode_outlook(record.value)
        _recent(self.outlooks, outlook.region, OUTLOOKS_KEPT).append(outlook)

    def _apply_map(self, record: Record, _: float | None) -> None:
        self.maps[record.key.decode()] = record.value

    def _apply_alert(self, record: Record, _: float | None) -> None:
        alert = decode_alert(record.value)
        revisions = self.alerts.pop(alert.id, [])
        if not revisions or alert.revision > revisions[-1].revision:
            revisions.append(alert)
        self.alerts[alert.id] = revisions
        while len(self.alerts) > ALERTS_KEPT:
            del self.alerts[next(iter(self.alerts))]

    def _apply_model(self, record: Record, _: float | None) -> None:
        self.models.append(decode_model(record.value))

    def _apply_dead_letter(self, record: Record, _: float | None) -> None:
        self.dead_letters[decode_dead_letter(record.value).reason] += 1

    def latest_forecast(self, region: str) -> Forecast | None:
        """Return a region's latest forecast; None before its first."""
        return self.forecasts[region][-1] if region in self.forecasts else None

    def outlooks_overdue_seconds(self, regions: RegionTable) -> float | None:
        """Return for how long the most overdue outlook of some regions has been due, by the stream's time: 0 if none is.

        A region whose window is empty has none due.

        Returns:
            None if the log has no outlook of these regions.
        """
        issued = [outlooks[-1] for region, outlooks in self.outlooks.items() if region in regions and self._has_events(region)]
        if not issued or self.stream_time is None:
            return None
        return max(0.0, (int(self.stream_time) - min(outlook.next_forecast_time for outlook in issued)) / MILLISECONDS_PER_SECOND)

    def _has_events(self, region: str) -> bool:
        forecast = self.latest_forecast(region)
        return forecast is None or forecast.events_in_window > 0

    def active_alerts(self) -> list[Alert]:
        """Return the last revision of each active alert, newest first."""
        return [revisions[-1] for revisions in reversed(self.alerts.values()) if self.is_active(revisions[-1])]

    def is_active(self, alert: Alert) -> bool:
        """Return whether an alert is active and has not expired by the stream time."""
        return alert.active and (self.stream_time is None or alert.expires_at > self.stream_time)


def _recent(by_region: dict[str, deque[Item]], region: str, most: int) -> deque[Item]:
    """Return a region's bounded list of recent items, which is created on first use."""
    if region not in by_region:
        by_region[region] = deque(maxlen=most)
    return by_region[region]

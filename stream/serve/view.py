"""What the log says now: events, forecasts, outlooks, alerts, models, by a fold of its records. No IO, no clock; one thread.

Memory is bounded: some thirty days of events, the last forecasts of each region, the last alerts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from statistics import median, quantiles
from typing import TypeVar

import msgspec

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MODELS, OUTLOOKS, Record
from ingest.event import Change, Heartbeat, LogRecord, Outage, Promotion, decode, decode_dead_letter
from ingest.instant import Instant
from stream.promotion import decode as decode_model
from stream.records import Activation, Alert, Calibration, Forecast, RegionOutlook, decode_alert, decode_forecast, decode_outlook
from stream.serve.event_index import EventIndex

SPAN_DAYS = 30.0
"""How much of the stream's time is kept."""
FORECASTS_KEPT = 200
OUTLOOKS_KEPT = 50
ALERTS_KEPT = 5_000
MODELS_KEPT = 500
SETTLED_EVERY_HOURS = 6.0
MEASURES_KEPT = 1_000
WAITING_KEPT = 10_000
Kept = TypeVar("Kept")


class Latencies:
    """Seconds between the stations of a record, as this server saw them."""

    def __init__(self) -> None:
        self.origin_to_log: deque[float] = deque(maxlen=MEASURES_KEPT)
        """From an event's origin to the feed's time when it was first seen."""
        self.log_to_forecast: deque[float] = deque(maxlen=MEASURES_KEPT)
        """From reading a change to reading the forecast that rests on it."""
        self._waiting: dict[tuple[int, int], float] = {}
        self._began_at: dict[int, Instant] = {}
        """By partition, the first look at the feed: what was there then says nothing of delays."""

    def change(self, change: Change, partition: int, heard: float | None) -> None:
        began = self._began_at.setdefault(partition, change.observed_at)
        if change.kind == "added" and change.event is not None and change.observed_at > began:
            self.origin_to_log.append((change.observed_at - change.event.time) / 1_000)
        if heard is not None:
            self._waiting[partition, change.sequence] = heard
            while len(self._waiting) > WAITING_KEPT:
                del self._waiting[next(iter(self._waiting))]

    def forecast(self, forecast: Forecast, heard: float | None) -> None:
        since = self._waiting.pop((forecast.input_partition, forecast.input_sequence), None)
        if since is not None and heard is not None:
            self.log_to_forecast.append(max(0.0, heard - since))


def median_of(values: Iterable[float]) -> float | None:
    """None of nothing."""
    found = list(values)
    return round(median(found), 3) if found else None


def percentile_99_of(values: Iterable[float]) -> float | None:
    """None of nothing."""
    found = list(values)
    return round(quantiles(found, n=100, method="inclusive")[-1] if len(found) > 1 else found[0], 3) if found else None


class View:
    """Takes records as they are read, those of a partition in order."""

    def __init__(self) -> None:
        self.events = EventIndex()
        self.forecasts: dict[str, deque[Forecast]] = {}
        """By region, the last ones, oldest first."""
        self.outlooks: dict[str, deque[RegionOutlook]] = {}
        self.calibration = Calibration()
        self.alerts: dict[str, list[Alert]] = {}
        """By id, its revisions; the alerts in the order of their last revision."""
        self.models: deque[Promotion | Activation] = deque(maxlen=MODELS_KEPT)
        self.dead_letters: Counter[str] = Counter()
        self.unreadable = 0
        self.latencies = Latencies()
        self.stream_time: Instant | None = None
        """The feed's own time, as of its last heartbeat."""
        self.heard: float | None = None
        """When this server read that heartbeat (monotonic seconds); none for one that was there before."""
        self.outage: Outage | None = None
        self.replayed = False
        """Whether the newest record is a replay's."""
        self.sequences: dict[int, int] = {}
        """By partition, the number of the last input record."""
        self.model: tuple[str, Instant] | None = None
        """Who forecasts, and since when."""
        self.forecasts_read = 0
        self._forgotten_at: Instant | None = None
        self._settled_at: Instant | None = None
        self._takers: dict[str, Callable[[Record, float | None], None]] = {
            EVENTS: self._event, FORECASTS: self._forecast, OUTLOOKS: self._outlook, ALERTS: self._alert, MODELS: self._model,
            DEAD_LETTERS: self._dead_letter,
        }  # fmt: skip

    def take(self, record: Record, heard: float | None = None) -> None:
        """Fold one record in; one that cannot be read is counted.

        Args:
            heard: when it was read (monotonic seconds); none if it had been there before this server looked.
        """
        try:
            self._takers[record.topic](record, heard)
        except (msgspec.MsgspecError, ValueError):
            self.unreadable += 1

    def _event(self, record: Record, heard: float | None) -> None:
        known: LogRecord = decode(record.value)
        if isinstance(known, Promotion):
            return
        self.sequences[record.partition] = known.sequence
        self.replayed = known.test
        if isinstance(known, Outage):
            self.outage = known
        elif isinstance(known, Heartbeat):
            self._heartbeat(known, heard)
        else:
            self.events.take(known)
            self.latencies.change(known, record.partition, heard)
            self._advance(known.observed_at)

    def _heartbeat(self, heartbeat: Heartbeat, heard: float | None) -> None:
        self.heard = heard if heard is not None else self.heard
        if self.outage is not None and heartbeat.observed_at > self.outage.observed_at:
            self.outage = None
        self._advance(heartbeat.observed_at)

    def _advance(self, time: Instant) -> None:
        self.stream_time = max(time, self.stream_time or time)
        if self._forgotten_at is None or self.stream_time > self._forgotten_at.plus(days=1):
            self._forgotten_at = self.stream_time
            self.events.forget(self.stream_time.plus(days=-SPAN_DAYS))
        if self._settled_at is None or self.stream_time > self._settled_at.plus(hours=SETTLED_EVERY_HOURS):
            self._settled_at = self.stream_time
            self.calibration.settle(self.events.by_region(), self.stream_time)

    def _forecast(self, record: Record, heard: float | None) -> None:
        forecast = decode_forecast(record.value)
        _kept(self.forecasts, forecast.region, FORECASTS_KEPT).append(forecast)
        self.forecasts_read += 1
        self.calibration.take(forecast)
        self.latencies.forecast(forecast, heard)
        if self.model is None or self.model[0] != forecast.model:
            self.model = (forecast.model, forecast.issued_at)

    def _outlook(self, record: Record, _: float | None) -> None:
        outlook = decode_outlook(record.value)
        _kept(self.outlooks, outlook.region, OUTLOOKS_KEPT).append(outlook)

    def _alert(self, record: Record, _: float | None) -> None:
        alert = decode_alert(record.value)
        revisions = self.alerts.pop(alert.id, [])
        if not revisions or alert.revision > revisions[-1].revision:
            revisions.append(alert)
        self.alerts[alert.id] = revisions
        while len(self.alerts) > ALERTS_KEPT:
            del self.alerts[next(iter(self.alerts))]

    def _model(self, record: Record, _: float | None) -> None:
        self.models.append(decode_model(record.value))

    def _dead_letter(self, record: Record, _: float | None) -> None:
        self.dead_letters[decode_dead_letter(record.value).reason] += 1

    def latest_forecast(self, region: str) -> Forecast | None:
        return self.forecasts[region][-1] if region in self.forecasts else None

    def active_alerts(self) -> list[Alert]:
        """The last revisions of those that hold on, newest first."""
        return [revisions[-1] for revisions in reversed(self.alerts.values()) if self.is_active(revisions[-1])]

    def is_active(self, alert: Alert) -> bool:
        """Whether it holds on and has not expired by the stream's time."""
        return alert.active and (self.stream_time is None or alert.expires_at > self.stream_time)


def _kept(by_region: dict[str, deque[Kept]], region: str, most: int) -> deque[Kept]:
    if region not in by_region:
        by_region[region] = deque(maxlen=most)
    return by_region[region]

"""Records in a line each, for people."""

from __future__ import annotations

from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion
from ingest.instant import Instant
from stream.alert import Alert
from stream.forecast import Forecast
from stream.outlook import ADVISORY_TIME_FRAME, RegionOutlook
from stream.partition import Activation
from stream.records import AnyRecord


def told(record: AnyRecord) -> str:
    """One line; records of replays say so at its end."""
    text = f"{moment(record)} {_text(record)}".rstrip()
    return f"{text}  [test]" if getattr(record, "test", False) else text


def moment(record: AnyRecord) -> Instant:
    """The stream's time of a record."""
    if isinstance(record, Forecast | RegionOutlook | Alert):
        return record.issued_at
    if isinstance(record, Activation):
        return record.at
    return record.promoted_at if isinstance(record, Promotion) else record.observed_at


def _text(record: AnyRecord) -> str:
    match record:
        case Forecast():
            return _forecast(record)
        case RegionOutlook():
            return _outlook(record)
        case Alert():
            where = record.region or "everywhere"
            return f"{where:18} {record.alert_type:10} {record.headline} ({record.reason})"
        case Change():
            return _change(record)
        case DeadLetter():
            return f"{record.source:10} {record.reason:20} {record.id or '-':16} {record.detail}"
        case Outage():
            return f"{record.source} unheard for {record.unheard_seconds:.0f} s: {record.trouble}"
        case Activation():
            outcome = f"refused: {record.refused}" if record.refused else f"{record.model} is in force"
            return f"partition {record.partition} from record {record.after_sequence + 1} on: {outcome}"
        case Promotion():
            named = ", ".join(record.models.values()) or "no model"
            return f"promoted{' as challenger' if record.challenger else ''}: {named} {record.reason}"
        case Heartbeat():
            return f"{record.source} heard"


def _forecast(forecast: Forecast) -> str:
    wait = f"median {forecast.wait.median_hours:.4g} h, P(1 d) {forecast.wait.probability_within['1d']:.3f}"
    large = forecast.magnitude.probability_at_least["5"]
    return f"{forecast.region:18} {forecast.cause:9} {wait}, P(M≥5) {large:.2g}"


def _outlook(outlook: RegionOutlook) -> str:
    """The span that is to be shown first, by magnitude."""
    span = next(span for span in outlook.forecast if span.label == ADVISORY_TIME_FRAME)
    said = ", ".join(f"M≥{bin.magnitude:g} {bin.p95minimum}…{bin.p95maximum} ({bin.probability:.2g})" for bin in span.bins)
    return f"{outlook.region:18} {outlook.cause:10} {span.label}: {said}"


def _change(change: Change) -> str:
    event = change.event
    more = f"M {event.magnitude} {event.place}" if event is not None else (change.reason or "")
    return f"{change.region:18} {change.kind:8} {change.id:16} {more}"

"""Formats records as one line each, for people."""

from __future__ import annotations

from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion
from ingest.instant import Instant
from ingest.printable import printable
from stream.records import Activation, Alert, AnyRecord, Forecast, GriddedForecast, RegionOutlook


def format_record(record: AnyRecord) -> str:
    """Format a record as one line; records that are not live end with a note."""
    text = f"{record_time(record)} {_text(record)}".rstrip()
    text = printable(text)
    return f"{text}  [test]" if getattr(record, "test", False) else text


def record_time(record: AnyRecord) -> Instant:
    """Return the stream's time of a record."""
    if isinstance(record, Forecast | RegionOutlook | GriddedForecast | Alert):
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
        case GriddedForecast():
            return _map(record)
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
            return f"partition {record.partition} from record {record.after_sequence + 1} on: {_outcome(record)}"
        case Promotion():
            return f"{describe_promotion(record)} {record.reason}"
        case Heartbeat():
            return f"{record.source} heard"


def describe_promotion(promotion: Promotion) -> str:
    """Format what a promotion asks for, without its reason."""
    if promotion.challenger and not promotion.models:
        return "the challenge ends"
    return f"promoted{' as challenger' if promotion.challenger else ''}: {', '.join(promotion.models.values())}"


def _outcome(activation: Activation) -> str:
    """Format what became of a promotion, or of models that failed, in one partition."""
    promotion, model = activation.promotion, activation.model
    if activation.refused is not None:
        return f"refused: {activation.refused}"
    if activation.failed is not None:
        return f"{model} takes over from {', '.join(activation.failed.values())}: {promotion.reason}"
    if not promotion.challenger:
        return f"{model} is in force"
    challenger = ", ".join(promotion.models.values())
    return f"challenger {challenger} is scored beside {model}" if challenger else f"{model} is in force, without a challenger"


def _forecast(forecast: Forecast) -> str:
    within_a_day, large = forecast.wait.probability_within.get("1d"), forecast.magnitude.probability_at_least.get("5")
    wait = f"median {forecast.wait.median_hours:.4g} h, P(1 d) {_number(within_a_day, '.3f')}"
    return f"{forecast.region:18} {forecast.cause:9} {wait}, P(M≥5) {_number(large, '.2g')}"


def _outlook(outlook: RegionOutlook) -> str:
    """Format the counts of the outlook's leading span, by magnitude."""
    bins = [bin for span in outlook.forecast if span.label == outlook.advisory_time_frame for bin in span.bins]
    counts = ", ".join(f"M≥{bin.magnitude:g} {bin.p95minimum}…{bin.p95maximum} ({bin.probability:.2g})" for bin in bins)
    return f"{outlook.region:18} {outlook.cause:10} {outlook.advisory_time_frame}: {counts or 'nothing'}"


def _map(forecast: GriddedForecast) -> str:
    """Format the expected numbers of the whole region, by horizon."""
    totals = ", ".join(f"{days:g} d {total:.3g}" for days, total in zip(forecast.horizons_days, forecast.totals, strict=True))
    start = f"{forecast.region:18} {forecast.cause:10} {len(forecast.cells.south)} cells"
    return f"{start}, M≥{forecast.magnitude_of_completeness:g} expected: {totals}"


def _number(value: float | None, form: str) -> str:
    return "?" if value is None else format(value, form)


def _change(change: Change) -> str:
    event = change.event
    description = f"M {_number(event.magnitude, 'g')} {event.place}" if event is not None else (change.reason or "")
    return f"{change.region:18} {change.kind:8} {change.id:16} {description}"

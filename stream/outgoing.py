"""What a worker writes to the log, by topic."""

from __future__ import annotations

import msgspec
import structlog

from ingest.bus import ALERTS, DEAD_LETTERS, FORECASTS, MODELS, Outgoing, Record
from ingest.event import DeadLetter, encode
from stream.monitoring import TAKEOVER_KEY
from stream.records import Activation, Alert, Forecast, decode_alert, decode_record

log = structlog.get_logger()


def issued_out(issued: Forecast | Alert, body: bytes, record: Record) -> Outgoing:
    if isinstance(issued, Forecast):
        return Outgoing(FORECASTS, record.partition, issued.region.encode(), body, issued.issued_at)
    return Outgoing(ALERTS, record.partition, issued.id.encode(), body, issued.issued_at)


def alert_fields(out: Outgoing) -> dict[str, object]:
    alert = decode_alert(out.value)
    fields = {"id": alert.id, "revision": alert.revision, "type": alert.alert_type, "active": alert.active, "headline": alert.headline}
    return fields | {"reason": alert.reason, "test": alert.test}


def activation_out(one: Activation) -> Outgoing:
    """Return the record of the outcome of a promotion, or of a takeover, and log it."""
    if one.failed is not None:
        failed, reason = ", ".join(one.failed.values()), one.promotion.reason
        log.error("takeover", partition=one.partition, after_sequence=one.after_sequence, failed=failed, reason=reason, model=one.model)
        return Outgoing(MODELS, 0, TAKEOVER_KEY, encode(one), one.at)
    write = log.info if one.refused is None else log.error
    write("promotion", partition=one.partition, offset=one.offset, model=one.model, refused=one.refused)
    return Outgoing(MODELS, 0, b"activation", encode(one), one.at)


def sequence_of(record: Record, kinds: tuple[type, ...]) -> int:
    """Return the sequence of an input record, or of the one that an output belongs to; -1 if the record is not of these kinds."""
    try:
        decoded = decode_record(record.value)
    except msgspec.DecodeError:
        return -1
    if not isinstance(decoded, kinds):
        return -1
    return decoded.input_sequence if isinstance(decoded, Forecast | Alert) else int(getattr(decoded, "sequence", -1))


def dead_letter_out(record: Record, reason: str, detail: str) -> Outgoing:
    position = f"{record.topic}/{record.partition}/{record.offset}"
    letter = DeadLetter(record.time, position, reason, detail, used=False, payload=record.value[:2_000].decode(errors="replace"))
    return Outgoing(DEAD_LETTERS, 0, position.encode(), encode(letter), record.time)

"""Promotions: a record in the log puts other models in force, at the same position in every replay.

One transaction writes the promotion to the models topic and, as a mark, to every partition of the input. A worker that reads the mark
changes models there, and writes to the models topic, in the same commit as its forecasts, from which record on which model is in force.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ingest.bus import EVENTS, MODELS, Log, NotCommitted, Outgoing
from ingest.event import Promotion, decode_hook, decode_with, encode
from ingest.instant import Instant
from ingest.problem import Problem
from stream.core import DEPENDENT_KINDS, FORECASTING_KINDS, Lineup
from stream.records import Activation

RECORDS_READ_BACK = 64
_decoder: msgspec.json.Decoder[Promotion | Activation] = msgspec.json.Decoder(Promotion | Activation, dec_hook=decode_hook)


def promote(log: Log, models: dict[str, str], *, challenger: bool = False, reason: str = "") -> Promotion:
    """Put models in force; as a challenger, beside the models in force.

    Args:
        models: names by kind; for a challenger, none ends the challenge.

    Raises:
        Problem: the log refused the promotion; nothing has changed.
    """
    log.create_topics()
    promotion = Promotion(_time(log), dict(sorted(models.items())), challenger, reason)
    body = encode(promotion)
    outgoing = [Outgoing(MODELS, 0, "+".join(promotion.models).encode() or b"none", body, promotion.promoted_at)]
    if challenger or any(kind in FORECASTING_KINDS for kind in models):
        outgoing += [Outgoing(EVENTS, partition, b"promotion", body, promotion.promoted_at) for partition in log.starts(EVENTS)]
    producer = log.producer("promote")
    try:
        producer.commit(outgoing)
    except NotCommitted as error:
        raise Problem(f"the log refused the promotion ({error})", "check the broker with `quakecast doctor`, then promote again") from None
    finally:
        producer.close()
    return promotion


def read_promotions(log: Log) -> Iterator[Promotion | Activation]:
    """Yield the records of the models topic from its beginning; other records are skipped."""
    for record in log.read(MODELS, 0, log.starts(MODELS)[0], log.ends(MODELS)[0]):
        try:
            yield decode_promotion_record(record.value)
        except msgspec.DecodeError:
            continue


def decode_promotion_record(data: bytes) -> Promotion | Activation:
    """Decode a record of the models topic.

    Raises:
        msgspec.DecodeError: not JSON, or not a promotion or an activation.
    """
    return decode_with(_decoder, data)


def models_in_force(log: Log) -> dict[str, str]:
    """Return the names of the champions by kind; for kinds that are missing, the built-in model is in force.

    Promotions that a worker refused do not count.
    """
    lineup, others = Lineup(), dict[str, str]()
    for promotion in _accepted_promotions(log):
        lineup = lineup.after(promotion)
        others |= {kind: name for kind, name in promotion.models.items() if kind not in FORECASTING_KINDS}
    return dict(lineup.champion) | others


def champions(log: Log) -> dict[str, list[str]]:
    """Return, by kind, the names of the champions in the order of their promotion, without refused ones."""
    names: dict[str, list[str]] = {}
    for promotion in _accepted_promotions(log):
        for kind, name in promotion.models.items():
            names.setdefault(kind, []).append(name)
    return names


def champions_before(log: Log, kind: str) -> dict[str, str] | None:
    """Return the models, by kind, that a rollback of a kind promotes: its preceding champion with the models trained on it.

    Returns:
        None when no other model was in force before; an empty dict for the built-in models.
    """
    lineups = [Lineup()]
    for promotion in _accepted_promotions(log):
        lineups.append(lineups[-1].after(promotion))
    now = dict(lineups[-1].champion).get(kind)
    earlier = [dict(lineup.champion) for lineup in lineups if dict(lineup.champion).get(kind) != now]
    if not earlier:
        return None
    return (
        {name: model for name, model in earlier[-1].items() if name in (kind, *DEPENDENT_KINDS.get(kind, ()))}
        if kind in earlier[-1]
        else {}
    )


def _accepted_promotions(log: Log) -> list[Promotion]:
    """Return the accepted promotions of champions, in order."""
    records = list(read_promotions(log))
    refused = [one.promotion for one in records if isinstance(one, Activation) and one.refused is not None]
    return [one for one in records if isinstance(one, Promotion) and not one.challenger and one not in refused]


def _time(log: Log) -> Instant:
    """Return the time of the input's last record, which in a recorded log is long past."""
    starts, ends = log.starts(EVENTS), log.ends(EVENTS)
    last = (record.time for p, end in ends.items() for record in log.read(EVENTS, p, max(starts[p], end - RECORDS_READ_BACK), end))
    return max(last, default=Instant(0))

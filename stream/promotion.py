"""Promotions: a record in the log puts other models in force, at the same position in every replay.

One transaction writes the promotion to the models topic and, as a mark, to every partition of the input. A worker that reads the mark
changes models there, and writes to the models topic, in the same commit as its forecasts, from which record on which model is in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
    if is_marked(promotion):
        outgoing += [Outgoing(EVENTS, partition, b"promotion", body, promotion.promoted_at) for partition in log.starts(EVENTS)]
    producer = log.producer("promote")
    try:
        producer.commit(outgoing)
    except NotCommitted as error:
        raise Problem(f"the log refused the promotion ({error})", "check the broker with `quakecast doctor`, then promote again") from None
    finally:
        producer.close()
    return promotion


def is_marked(promotion: Promotion) -> bool:
    """Return whether a promotion has a mark in the input, which the workers answer: forecasts depend on its models."""
    return promotion.challenger or any(kind in FORECASTING_KINDS for kind in promotion.models)


def outcomes_of(log: Log, promotion: Promotion, ends: Mapping[int, int]) -> dict[int, Activation]:
    """Return, by partition, what has become of a promotion so far.

    Args:
        ends: the ends of the input before it was written; an earlier promotion may be equal to it.
    """
    answers = (one for one in read_activations(log) if one.failed is None and one.promotion == promotion)
    return {one.partition: one for one in answers if one.offset >= ends[one.partition]}


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


def read_activations(log: Log) -> list[Activation]:
    """Return what became of promotions, and the takeovers from models that failed."""
    return [one for one in read_promotions(log) if isinstance(one, Activation)]


def models_in_force(log: Log) -> dict[str, str]:
    """Return the names of the champions by kind; for kinds that are missing, the built-in model is in force.

    Promotions that a worker refused do not count, nor do models that failed in force.
    """
    others = {
        kind: name
        for one in _accepted(log)
        if isinstance(one, Promotion)
        for kind, name in one.models.items()
        if kind not in FORECASTING_KINDS
    }
    return dict(_lineups(log)[-1].champion) | others


def champions(log: Log) -> dict[str, list[str]]:
    """Return, by kind, the names of the champions in the order of their promotion, without refused ones."""
    names: dict[str, list[str]] = {}
    for promotion in _accepted(log):
        for kind, name in promotion.models.items() if isinstance(promotion, Promotion) else ():
            names.setdefault(kind, []).append(name)
    return names


def champions_before(log: Log, kind: str) -> dict[str, str] | None:
    """Return the models, by kind, that a rollback of a kind promotes: its preceding champion with the models trained on it.

    Returns:
        None when no other model was in force before; an empty dict for the built-in models.
    """
    lineups = _lineups(log)
    now = dict(lineups[-1].champion).get(kind)
    earlier = [dict(lineup.champion) for lineup in lineups if dict(lineup.champion).get(kind) != now]
    if not earlier:
        return None
    return (
        {name: model for name, model in earlier[-1].items() if name in (kind, *DEPENDENT_KINDS.get(kind, ()))}
        if kind in earlier[-1]
        else {}
    )


def lineups_before(log: Log, lineup: Lineup) -> list[Lineup]:
    """Return the lineups that may take over from one that fails: without its challenger, then the champions before it, newest first."""
    lineups = _lineups(log)
    places = [place for place, one in enumerate(lineups) if one.champion == lineup.champion]
    before = lineups[: places[-1]] if places else lineups
    return [Lineup(lineup.champion)] * bool(lineup.challenger) + [one for one in reversed(before) if one.champion != lineup.champion]


def lineup_after_takeovers(log: Log, lineup: Lineup, partition: int, since: int, until: int) -> Lineup:
    """Return what is in force in a partition after the record `until`, if a lineup was promoted after the record `since`."""
    for one in read_activations(log):
        if one.partition == partition and one.failed == dict(lineup.champion) and since <= one.after_sequence <= until:
            lineup = Lineup.of(one.promotion.models)
    return lineup


def _lineups(log: Log) -> list[Lineup]:
    """Return the lineups of champions in their order, the first with the worker's own models; those that failed in force are left out."""
    lineups = [Lineup()]
    for one in _accepted(log):
        if isinstance(one, Promotion):
            lineups.append(lineups[-1].after(one))
        elif one.failed == dict(lineups[-1].champion):
            lineups = [lineup for lineup in lineups if dict(lineup.champion) != one.failed] + [Lineup.of(one.promotion.models)]
    return lineups


def _accepted(log: Log) -> list[Promotion | Activation]:
    """Return the accepted promotions of champions, and the takeovers, in order."""
    records = list(read_promotions(log))
    refused = [one.promotion for one in records if isinstance(one, Activation) and one.refused is not None]
    takeovers_and_promotions = (one for one in records if isinstance(one, Promotion) or one.failed is not None)
    return [one for one in takeovers_and_promotions if isinstance(one, Activation) or (not one.challenger and one not in refused)]


def _time(log: Log) -> Instant:
    """Return the time of the input's last record, which in a recorded log is long past."""
    starts, ends = log.starts(EVENTS), log.ends(EVENTS)
    last = (record.time for p, end in ends.items() for record in log.read(EVENTS, p, max(starts[p], end - RECORDS_READ_BACK), end))
    return max(last, default=Instant(0))

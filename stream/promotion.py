"""Promotions: other models come into force by a record in the log, at the same place of every replay.

One transaction writes the promotion into the models topic and, as a mark, into every partition of the input. A worker that reaches the
mark swaps right there and answers in the models topic, with the forecasts of the same commit, from where on who is in force.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ingest.bus import EVENTS, MODELS, Log, NotCommitted, Outgoing
from ingest.event import Promotion, decode_hook, decoded, encode
from ingest.instant import Instant
from ingest.problem import Problem
from stream.core import DEPENDENT_KINDS, FORECASTING_KINDS, Lineup
from stream.records import Activation

LAST_RECORDS = 64
_decoder: msgspec.json.Decoder[Promotion | Activation] = msgspec.json.Decoder(Promotion | Activation, dec_hook=decode_hook)


def promote(log: Log, models: dict[str, str], *, challenger: bool = False, reason: str = "") -> Promotion:
    """Put models in force, by kind and name; as a challenger, beside what is in force (no models: the challenge ends).

    Raises:
        Problem: the log did not take it; nothing has changed.
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
        raise Problem(
            f"the log did not take the promotion ({error})", "check the broker with `quakecast doctor`, then promote again"
        ) from None
    finally:
        producer.close()
    return promotion


def history(log: Log) -> Iterator[Promotion | Activation]:
    """What the models topic says, from its beginning; what is no record of ours is passed over."""
    for record in log.read(MODELS, 0, log.starts(MODELS)[0], log.ends(MODELS)[0]):
        try:
            yield decode(record.value)
        except msgspec.DecodeError:
            continue


def decode(data: bytes) -> Promotion | Activation:
    """A record of the models topic.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return decoded(_decoder, data)


def in_force(log: Log) -> dict[str, str]:
    """By kind, the name of the champion; kinds that are missing are those that come with the program.

    What a worker refused never came into force.
    """
    lineup, others = Lineup(), dict[str, str]()
    for promotion in _accepted(log):
        lineup = lineup.after(promotion)
        others |= {kind: name for kind, name in promotion.models.items() if kind not in FORECASTING_KINDS}
    return dict(lineup.champion) | others


def champions(log: Log) -> dict[str, list[str]]:
    """By kind, the names of the champions in the order of their promotion, without those that were refused."""
    found: dict[str, list[str]] = {}
    for promotion in _accepted(log):
        for kind, name in promotion.models.items():
            found.setdefault(kind, []).append(name)
    return found


def before(log: Log, kind: str) -> dict[str, str] | None:
    """By kind, the models that a rollback of a kind promotes: its last other champion, and what then rested on it; none before any.

    An empty dict: the models that come with the program.
    """
    lineups = [Lineup()]
    for promotion in _accepted(log):
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


def _accepted(log: Log) -> list[Promotion]:
    """Of champions, in order."""
    known = list(history(log))
    refused = [one.promotion for one in known if isinstance(one, Activation) and one.refused is not None]
    return [one for one in known if isinstance(one, Promotion) and not one.challenger and one not in refused]


def _time(log: Log) -> Instant:
    """The time of the input's last record: that of a recorded log is long past."""
    starts, ends = log.starts(EVENTS), log.ends(EVENTS)
    last = (record.time for p, end in ends.items() for record in log.read(EVENTS, p, max(starts[p], end - LAST_RECORDS), end))
    return max(last, default=Instant(0))

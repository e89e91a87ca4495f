"""Where a reader of the stream is: the next offset of every partition of every streamed topic, as one short text.

    e812.77.0.3.15.9-f640.51.0.2.11.7-o0.0.0.0.0.0-a2.0.0.0.0.0-m1

It says nothing of the server that wrote it: any server over the same log goes on from there, at the exact record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ingest.bus import ALERTS, EVENTS, FORECASTS, MODELS, OUTLOOKS, TOPICS, TopicPartition

STREAMED = {"events": EVENTS, "forecasts": FORECASTS, "outlooks": OUTLOOKS, "alerts": ALERTS, "models": MODELS}
"""By the name that clients use, the topic. Their first letters stand in cursors."""
SHORT_NAMES = {topic: name for name, topic in STREAMED.items()}
PLACES: tuple[TopicPartition, ...] = tuple((topic, partition) for topic in STREAMED.values() for partition in range(TOPICS[topic]))
"""All partitions of all streamed topics, in the order of cursors."""
LONGEST = 1_000
_PARTS = re.compile("-".join(rf"{name[0]}((?:[0-9]{{1,18}}\.){{{TOPICS[topic] - 1}}}[0-9]{{1,18}})" for name, topic in STREAMED.items()))

Cursor = dict[TopicPartition, int]
"""By partition, the next offset to read."""


def encode_cursor(cursor: Mapping[TopicPartition, int]) -> str:
    """The text of a cursor that has all of `PLACES`."""
    return "-".join(name[0] + ".".join(str(cursor[topic, p]) for p in range(TOPICS[topic])) for name, topic in STREAMED.items())


def decode_cursor(text: str) -> Cursor:
    """A cursor from its text.

    Raises:
        ValueError: it is none.
    """
    found = _PARTS.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise ValueError("not a cursor of this stream")
    numbers = (int(number) for part in found.groups() for number in part.split("."))
    return dict(zip(PLACES, numbers, strict=True))


def later(one: Mapping[TopicPartition, int], other: Mapping[TopicPartition, int]) -> Cursor:
    """By partition, the later of the two."""
    return {place: max(offset, other[place]) for place, offset in one.items()}


def is_ahead(one: Mapping[TopicPartition, int], other: Mapping[TopicPartition, int], places: Iterable[TopicPartition] = PLACES) -> bool:
    """Whether one is further than the other in any of the partitions."""
    return any(one[place] > other[place] for place in places)

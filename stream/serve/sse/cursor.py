"""The position of a reader of the stream: the next offset of every partition of every streamed topic, as one short text.

    e812.77.0.3.15.9-f640.51.0.2.11.7-o0.0.0.0.0.0-a2.0.0.0.0.0-m1-g0.0.0.0.0.0

A cursor does not depend on the server that wrote it: any server over the same log continues at the exact record. One without its last part
is of a version that had no maps: those of then on are all to come.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ingest.bus import ALERTS, EVENTS, FORECASTS, MAPS, MODELS, OUTLOOKS, TOPICS, TopicPartition

STREAMED = {"events": EVENTS, "forecasts": FORECASTS, "outlooks": OUTLOOKS, "alerts": ALERTS, "models": MODELS, "maps": MAPS}
"""Topic by the name that clients use."""
LETTERS = {name: name[0] for name in STREAMED} | {"maps": "g"}
"""By name, the letter that marks the topic in a cursor; maps are a grid."""
SHORT_NAMES = {topic: name for name, topic in STREAMED.items()}
STREAMED_PARTITIONS: tuple[TopicPartition, ...] = tuple((topic, number) for topic in STREAMED.values() for number in range(TOPICS[topic]))
"""All partitions of all streamed topics, in the order of the numbers in a cursor."""
MAX_CURSOR_LENGTH = 1_000
_PARTS = [rf"{LETTERS[name]}((?:[0-9]{{1,18}}\.){{{TOPICS[topic] - 1}}}[0-9]{{1,18}})" for name, topic in STREAMED.items()]
_CURSOR = re.compile(f"{'-'.join(_PARTS[:-1])}(?:-{_PARTS[-1]})?")
_NO_MAPS = ".".join("0" * TOPICS[MAPS])

Cursor = dict[TopicPartition, int]
"""By partition, the next offset to read."""


def encode_cursor(cursor: Mapping[TopicPartition, int]) -> str:
    """Return the text of a cursor, which must have all of `STREAMED_PARTITIONS`."""
    return "-".join(LETTERS[name] + ".".join(str(cursor[topic, p]) for p in range(TOPICS[topic])) for name, topic in STREAMED.items())


def decode_cursor(text: str) -> Cursor:
    """Return the cursor that a text stands for.

    Raises:
        ValueError: the text is not a cursor.
    """
    matched = _CURSOR.fullmatch(text) if len(text) <= MAX_CURSOR_LENGTH else None
    if matched is None:
        raise ValueError("not a cursor of this stream")
    numbers = (int(number) for part in matched.groups(_NO_MAPS) for number in part.split("."))
    return dict(zip(STREAMED_PARTITIONS, numbers, strict=True))


def later_offsets(one: Mapping[TopicPartition, int], other: Mapping[TopicPartition, int]) -> Cursor:
    """Return, for each partition of the first, the larger of the two offsets."""
    return {partition: max(offset, other[partition]) for partition, offset in one.items()}


def is_ahead(
    one: Mapping[TopicPartition, int],
    other: Mapping[TopicPartition, int],
    partitions: Iterable[TopicPartition] = STREAMED_PARTITIONS,
) -> bool:
    """Return whether the first has a larger offset than the second in at least one of the partitions."""
    return any(one[partition] > other[partition] for partition in partitions)

"""A challenger beside the champion: it observes the same events, issues no forecasts, and is scored as one more rival.

memory = length of the champion's | champion's memory | challenger's memory
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from stream.core.forecaster import Expectation, Forecaster, Hazard

_LENGTH = struct.Struct("<I")


class ShadowedForecaster:
    """A `Forecaster` that expects what the champion expects, with the challenger among its rivals."""

    def __init__(self, champion: Forecaster, challenger: Forecaster) -> None:
        self._champion, self._challenger = champion, challenger

    @property
    def name(self) -> str:
        return self._champion.name

    @property
    def rivals(self) -> tuple[str, ...]:
        return (*self._champion.rivals, self._challenger.name)

    @property
    def basis(self) -> str:
        return f"{self._champion.basis}~{self._challenger.basis}"

    @property
    def source_depth(self) -> float:
        return max(self._champion.source_depth, self._challenger.source_depth)

    def start(self, region: Region) -> bytes:
        return _join(self._champion.start(region), self._challenger.start(region))

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        champion, challenger = _split(memory)
        return _join(self._champion.observe(champion, event, region), self._challenger.observe(challenger, event, region))

    def fold(self, memory: bytes, events: Sequence[Event], region: Region, keep: Sequence[int]) -> list[bytes]:
        champion, challenger = _split(memory)
        own, other = self._champion.fold(champion, events, region, keep), self._challenger.fold(challenger, events, region, keep)
        return list(map(_join, own, other))

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        return self._champion.expect(_split(memory)[0], region, now)

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        champion, challenger = _split(memory)
        return (
            *self._champion.hazards(champion, region, since, until),
            self._challenger.hazards(challenger, region, since, until)[0],
        )


def champion_memory(memory: bytes) -> bytes:
    """Return the champion's part of a memory."""
    return _split(memory)[0]


def _join(champion: bytes, challenger: bytes) -> bytes:
    return _LENGTH.pack(len(champion)) + champion + challenger


def _split(memory: bytes) -> tuple[bytes, bytes]:
    (length,) = _LENGTH.unpack_from(memory)
    end = _LENGTH.size + int(length)
    return memory[_LENGTH.size : end], memory[end:]

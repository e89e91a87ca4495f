"""What the log says about the models of a partition: promotions that were accepted or refused, and takeovers from models that failed.

A model that fails depends on more than the input: a folder may be missing today and be back tomorrow. So what was decided once is a record
(`Activation`), and whoever folds the input again follows it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from ingest.event import Promotion
from stream.core import Position
from stream.records import Activation


class RecordedModels:
    """The records of one partition that lie ahead of a position.

    Args:
        read: reads the records of all partitions; called when the first one is needed. A log that is copied into another gets them first.
    """

    def __init__(self, read: Callable[[], Iterable[Activation]], partition: int, position: Position) -> None:
        self._read, self._partition, self._position = read, partition, position

    def takeover_before(self, sequence: int) -> Activation | None:
        """Return the takeover that a record of this sequence comes after, once; the last of several."""
        due = [one for one in self._takeovers if one.after_sequence < sequence]
        self._takeovers = [one for one in self._takeovers if one.after_sequence >= sequence]
        return due[-1] if due else None

    def outcome_of(self, promotion: Promotion, after_sequence: int) -> Activation | None:
        """Return what became of a promotion, once; None if the log does not say it yet."""
        known = next((one for one in self._outcomes if (one.promotion, one.after_sequence) == (promotion, after_sequence)), None)
        if known is not None:
            self._outcomes.remove(known)
        return known

    @cached_property
    def _all(self) -> list[Activation]:
        return [one for one in self._read() if one.partition == self._partition]

    @cached_property
    def _takeovers(self) -> list[Activation]:
        return [one for one in self._all if one.failed is not None and one.after_sequence >= self._position.sequence]

    @cached_property
    def _outcomes(self) -> list[Activation]:
        return [one for one in self._all if one.failed is None and one.offset >= self._position.offset]

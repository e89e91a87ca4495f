"""The window, its memory and its digest after any sequence of changes and expiries, beside a dict that is sorted each time."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ingest.event import EARTHQUAKE, Change, Event, encode
from stream.core.digest import digest_after, window_digest
from stream.core.memory import Memory
from stream.core.window import EventsInForce, Window, key_of
from tests.support.simulated import REGION, SumForecaster, at, change, event, fold_events

IDS = st.sampled_from("abcdefgh")
HOURS = st.integers(-130, 30).map(float)
MAGNITUDES = st.sampled_from([None, 2.4, 2.5, 3.0, 6.1])
KINDS = st.sampled_from([EARTHQUAKE, EARTHQUAKE, EARTHQUAKE, "quarry blast"])


class WindowMachine(RuleBasedStateMachine):
    """What a worker does to one region, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.forecaster = SumForecaster()
        self.window, self.digest, self.cutoff = Window(), 0, at(-120.0)
        self.memory = Memory(self.forecaster.start(REGION))
        self.events: dict[str, Event] = {}
        self.base = self.memory.base

    @rule(event_id=IDS, hours=HOURS, magnitude=MAGNITUDES, kind=KINDS, status=st.sampled_from(["automatic", "reviewed"]))
    def report(self, event_id: str, hours: float, magnitude: float | None, kind: str, status: str) -> None:
        """Add an event, or revise it: its time, its magnitude, what it is, or nothing that forecasts see."""
        version = event(event_id, hours, magnitude, type=kind, status=status)
        self._apply(change(version))
        self.events.pop(event_id, None)
        if version.type == EARTHQUAKE and magnitude is not None and magnitude >= 2.5 and version.time >= self.cutoff:
            self.events[event_id] = version

    @rule(event_id=IDS)
    def delete(self, event_id: str) -> None:
        self._apply(change(event_id))
        self.events.pop(event_id, None)

    @rule(event_id=IDS, other=IDS)
    def merge(self, event_id: str, other: str) -> None:
        self._apply(change(event_id, kind="merged", merged_into=other))
        self.events.pop(event_id, None)

    @rule(hours=st.integers(0, 40))
    def expire(self, hours: int) -> None:
        """Move the start of the window forward."""
        self.cutoff = self.cutoff.plus(hours=hours)
        before = self.window
        self.window, expired = self.window.expire(self.cutoff)
        self.memory = self.memory.expire(self.forecaster, REGION, expired)
        self.digest = digest_after(self.digest, EventsInForce(before), [one.id for one in expired], None)
        gone = sorted((one for one in self.events.values() if one.time < self.cutoff), key=key_of)
        assert list(expired) == gone
        self.base = fold_events(self.forecaster, gone, self.base)
        for one in gone:
            del self.events[one.id]

    @rule()
    def reload(self) -> None:
        """Keep of the memory what a store keeps."""
        self.memory = self.memory.sparse()

    def _apply(self, one: Change) -> None:
        before = self.window
        edit = before.apply(one, REGION, self.cutoff)
        unchanged = 0 if edit.changed_from is None else sum(key_of(each) < edit.changed_from for each in before.events)
        assert edit.window.events[:unchanged] == before.events[:unchanged]
        if edit.changed_from is not None:
            self.memory = self.memory.refold(self.forecaster, REGION, EventsInForce(edit.window), edit.changed_from)
        self.digest = digest_after(self.digest, EventsInForce(before), [] if edit.removed is None else [edit.removed.id], edit.added)
        self.window = edit.window

    @invariant()
    def window_is_that_of_the_sorted_dict(self) -> None:
        in_order = tuple(sorted(self.events.values(), key=key_of))
        assert self.window == Window.of(list(in_order))
        assert self.window.events == in_order
        assert {event_id: self.window.find(event_id) for event_id in "abcdefgh"} == {i: self.events.get(i) for i in "abcdefgh"}

    @invariant()
    def memory_is_the_fold_of_the_window(self) -> None:
        assert self.memory.head == fold_events(self.forecaster, self.window.events, self.base)

    @invariant()
    def digest_is_that_of_the_window(self) -> None:
        assert self.digest == window_digest(encode(one) for one in self.window.events)


TestWindow = WindowMachine.TestCase

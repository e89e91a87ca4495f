"""Selection of a catalogue's events: which are used, which are left out and why, and which are used although something is unusual.

    rows ─> readable ─> one version an id ─> with a magnitude ─> earthquakes ─> possible magnitudes ─> one of each near-duplicate ─> kept
            (ingest.quality: dead letters)

No event is altered: no magnitude is converted, no place or depth is corrected. Events that cannot be used are counted, with examples;
unusual events that are used are counted too, so that a scientist can judge. The rules depend on the events alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from ingest.event import EARTHQUAKE, DeadLetter, Event
from ingest.instant import MILLISECONDS_PER_SECOND
from models.catalog.reporting_practice import ReportingPractice, reporting_practice
from models.numerics import distance_km

DUPLICATE_SECONDS = 4.0
DUPLICATE_KM = 60.0
DUPLICATE_MAGNITUDES = 0.7
LARGEST_MAGNITUDE = 9.6
"""Just above the largest earthquake recorded (M 9.5, Chile 1960): the upper end of every magnitude distribution."""
POSSIBLE_MAGNITUDES = (-2.0, LARGEST_MAGNITUDE)
POSSIBLE_DEPTHS_KM = (-5.0, 700.0)
"""About the height of the highest volcanoes and the depth of the deepest earthquakes."""
MAGNITUDE_JUMP = 1.0
"""A difference between two versions of one event from which it is reported."""
MOST_EXAMPLES = 3

WHY = {
    "duplicate_id": "the id occurs again: its newest version is taken (of equally new ones the last given)",
    "magnitude_missing": "no magnitude",
    "magnitude_impossible": f"the magnitude is not within {POSSIBLE_MAGNITUDES[0]:g} … {POSSIBLE_MAGNITUDES[1]:g}",
    "near_duplicate": f"within {DUPLICATE_SECONDS:g} s, {DUPLICATE_KM:g} km and {DUPLICATE_MAGNITUDES:g} magnitudes of an event that is "
    "kept: the earlier one, of equally early ones the smaller id",
    "magnitude_jump": f"two versions of one id differ by {MAGNITUDE_JUMP:g} magnitudes or more; the newest is used",
    "depth_doubtful": f"the depth is not within {POSSIBLE_DEPTHS_KM[0]:g} … {POSSIBLE_DEPTHS_KM[1]:g} km; used as it is",
}


@dataclass
class Finding:
    """The number of events with the same reason, and the first few of them."""

    why: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: Callable[[], str]) -> None:
        """Count one more event; `example` is only called if it is among the first."""
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(example())


Findings = dict[str, Finding]


@dataclass(frozen=True)
class Report:
    """What the cleaning of a catalogue did."""

    rows: int
    """Number of events, and of rows that could not be read."""
    kept: int
    left_out: Findings
    """By reason; dead letters keep the reasons of `ingest.quality`, other types than earthquakes are `type:…`."""
    noted: Findings
    """By reason, events that are used although something is unusual."""
    near_duplicates_of_one_network: int
    """Near-duplicates from the same network: a network seldom reports one earthquake twice."""
    pairs_as_close_but_later: int
    """Pairs with similar place and magnitude, one to two times as far apart in time: as many near-duplicates are expected by chance."""
    habits: ReportingPractice


@dataclass(frozen=True)
class Cleaned:
    """The events to use, in the order of (time, id), and the report."""

    events: list[Event]
    report: Report


@dataclass
class Choice:
    """The events to use, and findings about the others."""

    kept: list[Event] = field(default_factory=list)
    left_out: Findings = field(default_factory=dict)
    noted: Findings = field(default_factory=dict)
    of_one_network: int = 0
    close_but_later: int = 0

    def leave_out(self, reason: str, example: Callable[[], str], why: str | None = None) -> None:
        self.left_out.setdefault(reason, Finding(why or WHY[reason])).add(example)

    def note(self, reason: str, example: Callable[[], str], why: str | None = None) -> None:
        self.noted.setdefault(reason, Finding(why or WHY[reason])).add(example)


def clean(items: Iterable[Event | DeadLetter]) -> Cleaned:
    """Select the events of a catalogue that can be used.

    Args:
        items: events and dead letters, as `ingest.catalog.read_catalog` yields them: in any order, of any type, of one file or several.

    Returns:
        The events that pass the filters, and a report of those left out and why.
    """
    choice, letters, events = Choice(), list[DeadLetter](), list[Event]()
    for item in items:
        if isinstance(item, DeadLetter):
            letters.append(item)
        else:
            events.append(item)
    ids = {event.id for event in events}
    for letter in letters:
        if not letter.used or letter.id in ids:  # a finding about a used event counts only if the event is here
            _add_dead_letter(letter, choice)
    rows = len(events) + sum(finding.count for finding in choice.left_out.values())
    choice = choose_events(events, choice)
    return Cleaned(
        choice.kept,
        Report(
            rows,
            len(choice.kept),
            choice.left_out,
            choice.noted,
            choice.of_one_network,
            choice.close_but_later,
            reporting_practice(choice.kept),
        ),
    )


def choose_events(events: Iterable[Event], choice: Choice | None = None) -> Choice:
    """Choose earthquakes with a possible magnitude: each id once, in its newest version, and no near-duplicates.

    Args:
        events: in any order, of any type.
        choice: findings about unreadable rows, to which those about the events are added; None: there are none.

    Returns:
        The events to use in the order of (time, id), and findings about the others.
    """
    choice = choice or Choice()
    usable = [event for event in _newest(events, choice) if _is_usable(event, choice)]
    for event in sorted(usable, key=lambda event: (event.time, event.id)):
        if not _is_near_duplicate(event, choice):
            choice.kept.append(event)
    return choice


def _add_dead_letter(letter: DeadLetter, choice: Choice) -> None:
    """Add a dead letter to the findings, unless its magnitude is missing: that is found again in its event."""
    if letter.reason != "magnitude_missing":
        add = choice.note if letter.used else choice.leave_out
        add(letter.reason, lambda: f"{letter.id or '-'} in {letter.source}: {letter.payload[:100]}", letter.detail)


def _newest(events: Iterable[Event], choice: Choice) -> list[Event]:
    by_id: dict[str, Event] = {}
    for event in events:
        present = by_id.get(event.id)
        if present is None:
            by_id[event.id] = event
            continue
        older, newer = (present, event) if event.updated >= present.updated else (event, present)
        by_id[event.id] = newer
        choice.leave_out("duplicate_id", partial(_description, older))
        if older.magnitude is not None and newer.magnitude is not None and abs(newer.magnitude - older.magnitude) >= MAGNITUDE_JUMP:
            choice.note("magnitude_jump", partial(_description, newer, f", was M {older.magnitude:g}"))
    return list(by_id.values())


def _is_usable(event: Event, choice: Choice) -> bool:
    if event.type != EARTHQUAKE:
        choice.leave_out(f"type:{event.type}", partial(_description, event), "not an earthquake")
    elif event.magnitude is None:
        choice.leave_out("magnitude_missing", partial(_description, event))
    elif not POSSIBLE_MAGNITUDES[0] <= event.magnitude <= POSSIBLE_MAGNITUDES[1]:
        choice.leave_out("magnitude_impossible", partial(_description, event))
    else:
        if event.depth_km is not None and not POSSIBLE_DEPTHS_KM[0] <= event.depth_km <= POSSIBLE_DEPTHS_KM[1]:
            choice.note("depth_doubtful", partial(_description, event, f", depth {event.depth_km:g} km"))
        return True
    return False


def _is_near_duplicate(event: Event, choice: Choice) -> bool:
    """Return whether an event is the same earthquake as one of the last kept ones, under another id."""
    for other in reversed(choice.kept):
        seconds = (event.time - other.time) / MILLISECONDS_PER_SECOND
        if seconds > 2.0 * DUPLICATE_SECONDS:
            return False
        if abs((event.magnitude or 0.0) - (other.magnitude or 0.0)) > DUPLICATE_MAGNITUDES:
            continue
        apart_km = distance_km(other.latitude, other.longitude, event.latitude, event.longitude)
        if apart_km >= DUPLICATE_KM:
            continue
        if seconds <= DUPLICATE_SECONDS:
            choice.of_one_network += event.network == other.network != ""
            choice.leave_out(
                "near_duplicate", partial(_description, event, f": {seconds:.1f} s, {apart_km:.0f} km after {_description(other)}")
            )
            return True
        choice.close_but_later += 1
    return False


def _description(event: Event, more: str = "") -> str:
    magnitude = "" if event.magnitude is None else f" M {event.magnitude:g} {event.magnitude_type}".rstrip()
    return f"{event.id} {event.time}{magnitude} {event.place}".rstrip() + more


def earthquakes(events: Iterable[Event]) -> list[Event]:
    """Return the earthquakes of `choose_events` without the findings."""
    return choose_events(events).kept


def newest_versions(events: Iterable[Event]) -> list[Event]:
    """Return the earthquakes with a magnitude, each id once, in its newest version, without any other filter.

    Near-duplicates stay, because some catalogues repeat coordinates on purpose.
    """
    newest: dict[str, Event] = {}
    for event in events:
        present = newest.get(event.id)
        if present is None or event.updated >= present.updated:
            newest[event.id] = event
    return [event for event in newest.values() if event.type == EARTHQUAKE and event.magnitude is not None]

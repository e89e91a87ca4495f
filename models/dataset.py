"""Catalogues -> sequences: one region's events over one span without holes, folded into the rows that the network learns from.

    events        ●        ●   ●                 ●
    span    [─────┼────────┼───┼─────────────────┼─────────)
    rows    0     1        2   3                 4            row k: what was known after k events
    waits   ├─────┼────────┼───┼─────────────────┼─────────┤  the last one censored at the span's end

A catalogue's files may have holes (months that were never downloaded): a hole ends a span, it is not a long wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region
from models import features
from models.cleaning import choose
from models.habits import holes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Catalogue:
    """Events of one source, and how its years are divided."""

    name: str
    """What it is, for the model card: `ComCat, M4.5+, 2011–2020`."""
    events: list[Event]
    """Sorted earthquakes without duplicates."""
    lowest_magnitude: float
    """The source was cut here; regions with a lower completeness are not served by it."""
    validation_from: Instant
    test_from: Instant


@dataclass(frozen=True)
class Sequence:
    """One region over one span, N events."""

    catalogue: str
    region: str
    magnitude_of_completeness: float
    start: Instant
    end: Instant
    validation_from: Instant
    test_from: Instant
    times: NDArray[np.int64]
    """(N,) milliseconds since 1970."""
    inputs: FloatArray
    """(N + 1, INPUTS) unscaled."""
    centres: FloatArray
    """(N + 1,) mean ln(wait in days) so far."""
    half_bins: FloatArray
    """(N + 1,) half the magnitudes' rounding so far."""
    excesses: FloatArray
    """(N,) magnitude above completeness as given, without the half bin."""


@dataclass(frozen=True)
class Targets:
    """What happened after the rows of a sequence, as far as a period of time saw it, R rows."""

    rows: NDArray[np.int64]
    """(R,) rows of the sequence."""
    elapsed: FloatArray
    """(R,) days of silence that had passed when the period began."""
    waits: FloatArray
    """(R,) days from then to the event, or to the period's end."""
    observed: NDArray[np.bool_]
    """(R,) whether the event came within the period."""
    excesses: FloatArray
    """(R,) its magnitude above completeness with the half bin; 0 if it did not come."""


def catalogue(
    name: str, events: Iterable[Event], validation_from: Instant, test_from: Instant, lowest_magnitude: float | None = None
) -> Catalogue:
    """A catalogue of what a source gave: its earthquakes, each once, in order.

    Args:
        lowest_magnitude: where the source was cut; None: the smallest magnitude in it.
    """
    kept = earthquakes(events)
    lowest = min((event.magnitude or 0.0 for event in kept), default=0.0) if lowest_magnitude is None else lowest_magnitude
    return Catalogue(name, kept, lowest, validation_from, test_from)


def earthquakes(events: Iterable[Event]) -> list[Event]:
    """Earthquakes with a magnitude, in the order of (time, id), each id once (its newest version) and no near-duplicates."""
    return choose(events).kept


def spans(times: ListLike[int]) -> list[tuple[Instant, Instant]]:
    """The spans without holes of sorted times (milliseconds).

    Each begins just after its first event (which would otherwise be a wait of zero by construction), and ends just after its last.
    """
    if len(times) == 0:
        return []
    moments = np.asarray(times, dtype=np.int64)
    breaks = holes(moments)
    starts, ends = moments[np.r_[0, breaks + 1]], moments[np.r_[breaks, len(moments) - 1]]
    return [(Instant(start + 1), Instant(end + 1)) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def sequences(catalogues: Iterable[Catalogue], region_of: Callable[[float, float], Region], fewest_events: int = 20) -> list[Sequence]:
    """Every region's sequences. Where two catalogues cover a region at the same time, the one named first is taken."""
    taken: dict[str, list[tuple[Instant, Instant]]] = defaultdict(list)
    made: list[Sequence] = []
    for source in catalogues:
        observed = spans([event.time for event in source.events])
        for region, events in _by_region(source, region_of):
            free = [piece for span in observed for piece in _outside(span, taken[region.id])]
            inside = [(span, [event for event in events if span[0] <= event.time < span[1]]) for span in free]
            long_enough = [(span, members) for span, members in inside if len(members) >= fewest_events]
            made += [sequence(source, region.id, region.magnitude_of_completeness, members, span) for span, members in long_enough]
            taken[region.id] += [span for span, _ in long_enough]
    return made


def sequence(
    source: Catalogue, region: str, magnitude_of_completeness: float, events: list[Event], span: tuple[Instant, Instant]
) -> Sequence:
    """The rows of one region over one span; `events` sorted, complete from Mc on."""
    memories = features.fold(events, magnitude_of_completeness)  # (N + 1, SIZE)
    return Sequence(
        catalogue=source.name,
        region=region,
        magnitude_of_completeness=magnitude_of_completeness,
        start=span[0],
        end=span[1],
        validation_from=source.validation_from,
        test_from=source.test_from,
        times=np.array([event.time for event in events], dtype=np.int64),
        inputs=np.stack([features.inputs(memory) for memory in memories]),
        centres=memories[:, features.CENTRE].copy(),
        half_bins=np.array([features.half_bin(memory) for memory in memories]),
        excesses=np.array([(event.magnitude or 0.0) - magnitude_of_completeness for event in events]),
    )


def targets(of: Sequence, start: Instant, end: Instant) -> Targets:
    """What a period saw of a sequence: the wait in progress at its start counts from there, the last is censored at its end."""
    begin, finish = max(start, of.start), min(end, of.end)
    froms = np.concatenate(([int(of.start)], of.times))  # (N + 1,)
    untils = np.concatenate((of.times, [int(of.end)]))  # (N + 1,)
    comes = np.arange(len(froms)) < len(of.times)
    rows = np.flatnonzero((untils >= begin) & (froms < finish) & (finish > begin))
    observed = comes[rows] & (untils[rows] < finish)
    opened = np.maximum(froms[rows], begin)
    closed = np.minimum(untils[rows], finish)
    excesses = np.concatenate((of.excesses, [0.0]))[rows] + of.half_bins[rows]
    return Targets(
        rows=rows,
        elapsed=(opened - froms[rows]) / MILLISECONDS_PER_DAY,
        waits=np.maximum(closed - opened, 0) / MILLISECONDS_PER_DAY,
        observed=observed,
        excesses=np.where(observed, excesses, 0.0),
    )


def _by_region(source: Catalogue, region_of: Callable[[float, float], Region]) -> list[tuple[Region, list[Event]]]:
    members: dict[str, tuple[Region, list[Event]]] = {}
    for event in source.events:
        region = region_of(event.latitude, event.longitude)
        if region.magnitude_of_completeness >= source.lowest_magnitude and (event.magnitude or 0.0) >= region.magnitude_of_completeness:
            members.setdefault(region.id, (region, []))[1].append(event)
    return [members[key] for key in sorted(members)]


def _outside(span: tuple[Instant, Instant], taken: list[tuple[Instant, Instant]]) -> list[tuple[Instant, Instant]]:
    """What is left of a span when the taken ones are cut out."""
    pieces = [span]
    for start, end in taken:
        cut = [((low, min(high, start)), (max(low, end), high)) for low, high in pieces]
        pieces = [piece for pair in cut for piece in pair if piece[0] < piece[1]]
    return pieces

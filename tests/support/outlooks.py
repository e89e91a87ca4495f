"""A simulator for the tests of outlooks that only counts: so many events in a span as came per day in the window, give or take the seed."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.event import InputRecord
from ingest.problem import Problem
from stream.core.lineup import Lineup
from stream.outlooks.partition import OutlookPartition, outlook_of, simulation_request
from stream.outlooks.simulator import SimulatedCounts, SimulationRequest
from stream.records.outlook import FRACTILES, SPANS_DAYS, AboveMainshock, Bin, OutlookSpan, RegionOutlook, span_end


class RateSimulator:
    """What it says depends on all that it is told."""

    def __init__(self, name: str = "rate-1") -> None:
        self.name = name
        self.requests: list[SimulationRequest] = []

    def simulate(self, request: SimulationRequest) -> SimulatedCounts:
        self.requests.append(request)
        spans = []
        for label, days in SPANS_DAYS.items():
            end = span_end(request.now, label)
            bins = [_bin(request, magnitude, days) for magnitude in request.magnitudes]
            above = _bin(request, request.above, days)
            spans.append(
                OutlookSpan(int(request.now), end, label, bins, AboveMainshock(request.above, above.probability, above.fractile_values))
            )
        return SimulatedCounts(100, 0, spans, {"paths": 100.0})


class Simulators:
    """A library of a few such simulators by the `lstm` that is in force."""

    def __init__(self, *known: RateSimulator) -> None:
        self._known = {one.name: one for one in known or (RateSimulator(),)}

    def simulator(self, lineup: Lineup) -> RateSimulator:
        name = dict(lineup.champion).get("lstm", next(iter(self._known)))
        if name not in self._known:
            raise Problem(f"{name} is not here", "put it there")
        return self._known[name]


def _bin(request: SimulationRequest, magnitude: float, days: float) -> Bin:
    came = [event for event in request.events if (event.magnitude or 0.0) >= magnitude]
    middle = round(len(came) / request.region.window_days * days)
    low, high = middle // 2, 2 * middle + request.seed % 7
    values = [round(low + (high - low) * share) for share in FRACTILES]
    return Bin(magnitude, low, high, middle / (1.0 + middle), middle, values)


def said(partition: OutlookPartition, simulator: RateSimulator, records: Iterable[InputRecord]) -> list[RegionOutlook]:
    """All that a partition says of some records, by the core alone."""
    made = []
    for record in records:
        for due in partition.due_before(record):
            made.append(outlook_of(due, partition.number, simulator.name, simulator.simulate(simulation_request(due, partition.number))))
            partition.note(made[-1])
        partition.fold(record)
        for due in partition.due_after(record):
            made.append(outlook_of(due, partition.number, simulator.name, simulator.simulate(simulation_request(due, partition.number))))
            partition.note(made[-1])
    return made

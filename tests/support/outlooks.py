"""A simulator for tests that extrapolates the rate of the window: counts depend on the window, the span and the seed."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.event import InputRecord
from ingest.problem import Problem
from stream.core.lineup import Lineup
from stream.outlooks.partition import OutlookPartition, outlook_of, simulation_request
from stream.outlooks.simulator import SimulatedCounts, SimulationRequest
from stream.records.outlook import FRACTILES, SPANS_DAYS, AboveMainshock, Bin, OutlookSpan, RegionOutlook, span_end


class RateSimulator:
    """A simulator whose counts depend on every field of the request."""

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
    """A library of such simulators, by the name of the `lstm` in force."""

    def __init__(self, *known: RateSimulator) -> None:
        self._known = {one.name: one for one in known or (RateSimulator(),)}

    def simulator(self, lineup: Lineup) -> RateSimulator:
        name = dict(lineup.champion).get("lstm", next(iter(self._known)))
        if name not in self._known:
            raise Problem(f"{name} is not here", "put it there")
        return self._known[name]


def _bin(request: SimulationRequest, magnitude: float, days: float) -> Bin:
    counted = [event for event in request.events if (event.magnitude or 0.0) >= magnitude]
    middle = round(len(counted) / request.region.window_days * days)
    low, high = middle // 2, 2 * middle + request.seed % 7
    values = [round(low + (high - low) * share) for share in FRACTILES]
    return Bin(magnitude, low, high, middle / (1.0 + middle), middle, values)


def issue_outlooks(partition: OutlookPartition, simulator: RateSimulator, records: Iterable[InputRecord]) -> list[RegionOutlook]:
    """Return the outlooks that a partition issues for some records."""
    issued = []
    for record in records:
        for due in partition.due_before(record):
            issued.append(outlook_of(due, partition.number, simulator.name, simulator.simulate(simulation_request(due, partition.number))))
            partition.record_issue(due)
        partition.fold(record)
        for due in partition.due_after(record):
            issued.append(outlook_of(due, partition.number, simulator.name, simulator.simulate(simulation_request(due, partition.number))))
            partition.record_issue(due)
    return issued

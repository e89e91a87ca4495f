"""Differentiable statistics of sequences: an input of the critic beside the single events, and the arguments of the energy score.

A mean over the N events of a sequence is Σ x / (N + 1): shrunk towards 0 by the weight of one event, so that it is also defined for a
sequence without events.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from models.gan.process import SHORTEST_DAYS, Events

STATISTICS = 17
EVENT_COLUMNS = 8
NEAREST = 0.03
"""In scales; added to distances before the logarithm."""
SHORTEST_WAIT_DAYS = 3e-5
_TINY = 1e-3


class CriticInput(NamedTuple):
    """B sequences in the form that the critic reads."""

    events: torch.Tensor
    """(B, L, EVENT_COLUMNS)"""
    present: torch.Tensor
    """(B, L), 1 or 0."""
    statistics: torch.Tensor
    """(B, STATISTICS)"""


def pack_events(events: Events, most_events: int) -> Events:
    """Return the events that are present, in the order of time, followed by empty slots: (B, L) each -> (B, K).

    K is the largest number of events of a sequence, between 2 and `most_events`; later events are dropped.
    """
    is_present = events.present.detach() > 0.5
    keys = torch.where(is_present, events.days.detach(), torch.full_like(events.days, torch.inf))
    count = int(is_present.sum(1).max())
    order = keys.argsort(1)[:, : max(min(count, most_events), 2)]
    return Events(*(column.gather(1, order) for column in events))


def critic_input(events: Events, excess: torch.Tensor, days: float, depths_known: torch.Tensor) -> CriticInput:
    """Return the columns of each event and the statistics of each sequence.

    Args:
        events: as `pack_events` returns them.
        excess: (B, 1) of the mainshocks.
        days: length of the sequences.
        depths_known: (B, 1), 1 or 0.
    """
    present = events.present
    log_days = torch.log10(events.days.clamp(min=SHORTEST_DAYS)) / 2.0
    log_distance = torch.log(torch.sqrt(events.along**2 + events.across**2 + 1e-9) + NEAREST)
    log_waits, log_steps = _since_last_event(events)
    depths = events.depths_km * depths_known / 5.0
    columns = (log_days, events.excesses, torch.asinh(events.along), torch.asinh(events.across), log_distance, log_waits, log_steps, depths)
    by_event = torch.stack(columns, 2) * present[:, :, None]  # (B, L, 8)
    statistics = _statistics(events, excess, days, (log_days, log_distance, log_waits, log_steps, depths))
    return CriticInput(by_event, present, statistics)


def _since_last_event(events: Events) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two (B, L): ln (wait × number of events so far / time so far), about 0 without clustering; ln of the distance in scales."""
    numbers = torch.arange(1, events.days.shape[1] + 1, dtype=events.days.dtype)
    waits = torch.diff(events.days, dim=1, prepend=torch.zeros_like(events.days[:, :1])).clamp(min=0.0)
    log_ratio = torch.log((waits + SHORTEST_WAIT_DAYS) * numbers / (events.days.clamp(min=0.0) + SHORTEST_WAIT_DAYS))
    steps = [torch.diff(column, dim=1, prepend=torch.zeros_like(column[:, :1])) for column in (events.along, events.across)]
    return log_ratio, torch.log(torch.sqrt(steps[0] ** 2 + steps[1] ** 2 + 1e-9) + NEAREST)


def _statistics(events: Events, excess: torch.Tensor, days: float, columns: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return (B, STATISTICS) of (B, L) columns: count, times, magnitudes, the shape of the cloud of epicentres, clustering, depths."""
    present, (log_days, log_distance, log_waits, log_steps, depths) = events.present, columns
    count = present.sum(1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (values * present).sum(1) / (count + 1.0)

    def spread(values: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(mean((values - mean(values)[:, None]) ** 2) + _TINY)

    largest = (events.excesses - excess).masked_fill(present < 0.5, -8.0).amax(1).clamp(min=-excess[:, 0] - 0.2)
    centre = (mean(events.along), mean(events.across))
    along, across = events.along - centre[0][:, None], events.across - centre[1][:, None]
    longest, shortest = _principal_variances(mean(along**2), mean(across**2), mean(along * across))
    statistics = (
        torch.log1p(count), mean(log_days), spread(log_days), mean(events.days / days),
        mean(events.excesses), spread(events.excesses), largest, mean((events.excesses - mean(events.excesses)[:, None]) * log_days),
        mean(log_distance), spread(log_distance), 0.5 * (torch.log(longest) - torch.log(shortest)),
        torch.sqrt(centre[0] ** 2 + centre[1] ** 2 + _TINY), mean(log_waits), spread(log_waits), mean(log_steps),
        mean(depths), spread(depths),
    )  # fmt: skip
    return torch.stack(statistics, 1)


def _principal_variances(along: torch.Tensor, across: torch.Tensor, both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the variances along the longest axis of the cloud and across it, the eigenvalues of [[along, both], [both, across]]."""
    half_sum, half_difference = 0.5 * (along + across), torch.sqrt(0.25 * (along - across) ** 2 + both**2 + _TINY**2)
    return half_sum + half_difference + _TINY, (half_sum - half_difference).clamp(min=0.0) + _TINY

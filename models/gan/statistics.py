"""A sequence in numbers that have derivatives: what the critic sees beside the single events, and what the spread is taught by.

Means over few events are drawn to 0 as if one more had it, so a sequence without events has numbers, too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from models.gan.process import SHORTEST_DAYS, Events

STATISTICS = 17
EVENT_COLUMNS = 8
NEAREST = 0.03
"""Scales: below it distances are alike."""
SHORTEST_WAIT_DAYS = 3e-5
_TINY = 1e-3


class Seen(NamedTuple):
    """What is told of B sequences."""

    events: torch.Tensor
    """(B, L, EVENT_COLUMNS)"""
    there: torch.Tensor
    """(B, L)"""
    statistics: torch.Tensor
    """(B, STATISTICS)"""


def packed(events: Events, most: int) -> Events:
    """The events that are there first, in the order of time, and no more places than needed."""
    keys = torch.where(events.there.detach() > 0.5, events.days.detach(), torch.full_like(events.days, torch.inf))
    count = int((events.there.detach() > 0.5).sum(1).max())
    order = keys.argsort(1)[:, : max(min(count, most), 2)]
    return Events(*(column.gather(1, order) for column in events))


def seen(events: Events, excess: torch.Tensor, days: float, depths_known: torch.Tensor) -> Seen:
    """Packed events as the critic sees them.

    Args:
        excess: (B, 1) of the mainshock.
        depths_known: (B, 1) 1 or 0.
    """
    there = events.there
    log_days = torch.log10(events.days.clamp(min=SHORTEST_DAYS)) / 2.0
    log_distance = torch.log(torch.sqrt(events.along**2 + events.across**2 + 1e-9) + NEAREST)
    waits, steps = _since_last(events)
    depths = events.depths_km * depths_known / 5.0
    columns = (log_days, events.excesses, torch.asinh(events.along), torch.asinh(events.across), log_distance, waits, steps, depths)
    shown = torch.stack(columns, 2) * there[:, :, None]  # (B, L, 8)
    statistics = _statistics(events, excess, days, (log_days, log_distance, waits, steps, depths))
    return Seen(shown, there, statistics)


def _since_last(events: Events) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, L) ln of the wait times the number so far over the time, 0 on average if nothing clusters; ln of the distance in scales."""
    numbers = torch.arange(1, events.days.shape[1] + 1, dtype=events.days.dtype)
    waits = torch.diff(events.days, dim=1, prepend=torch.zeros_like(events.days[:, :1])).clamp(min=0.0)
    ratio = torch.log((waits + SHORTEST_WAIT_DAYS) * numbers / (events.days.clamp(min=0.0) + SHORTEST_WAIT_DAYS))
    moved = [torch.diff(column, dim=1, prepend=torch.zeros_like(column[:, :1])) for column in (events.along, events.across)]
    return ratio, torch.log(torch.sqrt(moved[0] ** 2 + moved[1] ** 2 + 1e-9) + NEAREST)


def _statistics(events: Events, excess: torch.Tensor, days: float, told: tuple[torch.Tensor, ...]) -> torch.Tensor:
    there, (log_days, log_distance, waits, steps, depths) = events.there, told
    count = there.sum(1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (values * there).sum(1) / (count + 1.0)

    def spread(values: torch.Tensor) -> torch.Tensor:
        away = values - mean(values)[:, None]
        return torch.sqrt(mean(away**2) + _TINY)

    largest = (events.excesses - excess).masked_fill(there < 0.5, -8.0).amax(1).clamp(min=-excess[:, 0] - 0.2)
    middle = (mean(events.along), mean(events.across))
    east, north = events.along - middle[0][:, None], events.across - middle[1][:, None]
    longest, shortest = _axes(mean(east**2), mean(north**2), mean(east * north))
    columns = (
        torch.log1p(count), mean(log_days), spread(log_days), mean(events.days / days),
        mean(events.excesses), spread(events.excesses), largest, mean((events.excesses - mean(events.excesses)[:, None]) * log_days),
        mean(log_distance), spread(log_distance), 0.5 * (torch.log(longest) - torch.log(shortest)),
        torch.sqrt(middle[0] ** 2 + middle[1] ** 2 + _TINY), mean(waits), spread(waits), mean(steps),
        mean(depths), spread(depths),
    )  # fmt: skip
    return torch.stack(columns, 1)


def _axes(east: torch.Tensor, north: torch.Tensor, both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The variances along the longest axis and across."""
    half, away = 0.5 * (east + north), torch.sqrt(0.25 * (east - north) ** 2 + both**2 + _TINY**2)
    return half + away + _TINY, (half - away).clamp(min=0.0) + _TINY

"""Aftershocks from a law's numbers and noise, such that the law's numbers feel how the events should have been.

    mainshock ─▶ direct aftershocks (Omori–Utsu) ─┐
    background (uniform in time) ─────────────────┼─▶ their children ─▶ grandchildren ─▶ detected? within the radius and the days?
                                                  ┘

A unit-rate Poisson process arrives at Γ_1, Γ_2, …; an event of Omori's process comes when its expected number reaches Γ_i (operational
time, Ogata 1988, JASA 83, 9–27), so waits decide how many come within the days. Times, distances and magnitudes are smooth functions of
noise and law. Whether an event is there is 0 or 1, with the derivative of a smooth step (straight-through, Bengio et al. 2013,
arXiv:1308.3432). Every tensor is (B, L): B sequences, L places for events.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

LARGEST_EXCESS = 7.0
DETECTION_WIDTH = 0.3
"""Magnitudes (Ogata & Katsura 1993)."""
SHORTEST_DAYS = 1e-5
GENERATIONS = 2


class Law(NamedTuple):
    """The numbers of B sequences, (B, 1) each; days, and kilometres as multiples of the mainshock's scale."""

    log_number: torch.Tensor
    """ln of the expected number of direct aftershocks within the days."""
    log_c: torch.Tensor
    p: torch.Tensor
    log_background: torch.Tensor
    """ln of the expected number of background events within the days and the radius."""
    beta: torch.Tensor
    offspring: torch.Tensor
    """Mean number of children of an event."""
    growth: torch.Tensor
    """Children grow with exp(growth × excess), below β."""
    log_child_c: torch.Tensor
    child_p: torch.Tensor
    log_near: torch.Tensor
    """ln of the core's width about the rupture."""
    rho: torch.Tensor
    line: torch.Tensor
    """Length of the rupture's line."""
    aspect: torch.Tensor
    """ln of length over width of the cloud."""
    log_child_near: torch.Tensor
    patch: torch.Tensor
    """Background events at distance radius · U^patch."""
    hidden: torch.Tensor
    """G: half of the events at magnitude M − G − H log10 t are seen."""
    hidden_decay: torch.Tensor
    """H."""
    depth_shift: torch.Tensor
    log_depth_spread: torch.Tensor
    """km"""


class Events(NamedTuple):
    """(B, L) each."""

    days: torch.Tensor
    excesses: torch.Tensor
    along: torch.Tensor
    across: torch.Tensor
    """In scales, along the rupture and across."""
    depths_km: torch.Tensor
    """From the mainshock, downwards."""
    there: torch.Tensor
    """1 or 0."""


class Noise:
    """Random numbers of one shape after another, from a generator with a seed."""

    def __init__(self, chance: torch.Generator, like: torch.Tensor) -> None:
        self._chance, self._like = chance, like

    def uniform(self, *shape: int) -> torch.Tensor:
        low = 1e-6 if self._like.dtype == torch.float32 else 1e-12
        return torch.rand(*shape, generator=self._chance, dtype=self._like.dtype).clamp(low, 1.0 - low)

    def exponential(self, *shape: int) -> torch.Tensor:
        return -torch.log(self.uniform(*shape))

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self._chance, dtype=self._like.dtype)


def aftershocks(law: Law, excess: torch.Tensor, radius: float, days: float, most: int, noise: Noise) -> Events:
    """B sequences; the L places hold at most `most` direct aftershocks, as many children and as many grandchildren.

    Args:
        excess: (B, 1) of the mainshock.
        radius: in scales.
        most: where a sequence is cut off.
    """
    parents = joined([_direct(law, days, most, noise), _background(law, radius, days, most, noise)])
    whole = [parents]
    for _ in range(GENERATIONS):
        parents = _children(law, parents, days, most, noise)
        whole.append(parents)
    return _seen(joined(whole), law, excess, radius, days, noise)


def omori_days(share: torch.Tensor, log_c: torch.Tensor, p: torch.Tensor, days: float) -> torch.Tensor:
    """When that share of the events within `days` has come: the inverse of ∫₀ᵗ (s + c)^(−p) ds, normalised."""
    power = 1.0 - p
    power = torch.where(power.abs() < 1e-3, torch.full_like(power, 1e-3), power)
    whole = torch.log1p(days * torch.exp(-log_c))  # ln ((T + c)/c)
    log_ratio = torch.log1p(share * torch.expm1(power * whole)) / power
    return torch.exp(log_c) * torch.expm1(log_ratio) + SHORTEST_DAYS


def joined(parts: list[Events]) -> Events:
    """The places of several one after the other."""
    return Events(*(torch.cat(columns, 1) for columns in zip(*parts, strict=True)))


def step(margin: torch.Tensor) -> torch.Tensor:
    """1 where the margin is positive, with the derivative of the logistic function."""
    soft = torch.sigmoid(margin)
    return (margin > 0.0).to(margin.dtype) + soft - soft.detach()


def _places(expected: torch.Tensor, most: int) -> int:
    """How many places so that hardly any sequence lacks one."""
    largest = float(expected.detach().max())
    return int(min(largest + 5.0 * math.sqrt(largest) + 6.0, most))


def _arriving(expected: torch.Tensor, most: int, noise: Noise) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, L) Γ over its expected end, and whether they come before it."""
    arrivals = noise.exponential(len(expected), _places(expected, most)).cumsum(1)
    there = step((expected - arrivals) / (0.5 + 0.3 * torch.sqrt(expected)))
    return arrivals / expected, there


def _direct(law: Law, days: float, most: int, noise: Noise) -> Events:
    share, there = _arriving(torch.exp(law.log_number), most, noise)
    size = share.shape
    shift = noise.uniform(size[0], 1) - 0.5  # ruptures run to one side or to both
    length = law.line * (noise.uniform(*size) - 0.5 + shift)
    along, across = _displaced(torch.exp(law.log_near), law.rho, law.aspect, noise, size)
    depth_noise = law.depth_shift + torch.exp(law.log_depth_spread) * noise.normal(*size)
    times = omori_days(share.clamp(max=1.0), law.log_c, law.p, days)
    return Events(times, noise.exponential(*size) / law.beta, along + length, across, depth_noise, there)


def _background(law: Law, radius: float, days: float, most: int, noise: Noise) -> Events:
    share, there = _arriving(torch.exp(law.log_background), most, noise)
    size = share.shape
    distance, angle = radius * noise.uniform(*size) ** law.patch, 2.0 * math.pi * noise.uniform(*size)
    depths = law.depth_shift + torch.exp(law.log_depth_spread) * noise.normal(*size)
    excesses = noise.exponential(*size) / law.beta
    return Events(days * share.clamp(max=1.0), excesses, distance * torch.cos(angle), distance * torch.sin(angle), depths, there)


def _children(law: Law, parents: Events, days: float, most: int, noise: Noise) -> Events:
    growth = torch.minimum(law.growth, 0.9 * law.beta)
    each = law.offspring * (1.0 - growth / law.beta) * torch.exp(growth * parents.excesses.clamp(max=LARGEST_EXCESS))
    weights = each * parents.there  # (B, L) expected children
    expected = weights.sum(1, keepdim=True).clamp(1e-3, float(most))
    _, there = _arriving(expected, most, noise)
    size = there.shape
    bounds = weights.detach().clamp(min=0.0).cumsum(1)
    mother = torch.searchsorted(bounds, noise.uniform(*size) * bounds[:, -1:]).clamp(max=bounds.shape[1] - 1)
    own = Events(*(column.gather(1, mother) for column in parents))
    times = own.days + omori_days(noise.uniform(*size), law.log_child_c, law.child_p, days)
    near = torch.exp(law.log_child_near + 0.9 * own.excesses.detach().clamp(max=LARGEST_EXCESS))
    along, across = _displaced(near, law.rho, torch.zeros_like(law.aspect), noise, size)
    depths = own.depths_km + 0.3 * torch.exp(law.log_depth_spread) * noise.normal(*size)
    there = there * step((days - times) / (0.02 * days)) * own.there.detach()
    return Events(times, noise.exponential(*size) / law.beta, own.along + along, own.across + across, depths, there)


def _displaced(
    near: torch.Tensor, rho: torch.Tensor, aspect: torch.Tensor, noise: Noise, size: torch.Size
) -> tuple[torch.Tensor, torch.Tensor]:
    """Offsets with P(r² > s) = (near²/(s + near²))^ρ as ETAS has them, drawn out along the rupture."""
    distance = near * torch.sqrt(noise.uniform(*size) ** (-1.0 / rho) - 1.0 + 1e-9)
    angle = 2.0 * math.pi * noise.uniform(*size)
    return distance * torch.cos(angle) * torch.exp(0.5 * aspect), distance * torch.sin(angle) * torch.exp(-0.5 * aspect)


def _seen(events: Events, law: Law, excess: torch.Tensor, radius: float, days: float, noise: Noise) -> Events:
    """What gets into the catalogue: within days and radius, and not hidden in the mainshock's waves (Helmstetter et al. 2006)."""
    half = excess - law.hidden - law.hidden_decay * torch.log10(events.days.clamp(min=SHORTEST_DAYS))
    detected = torch.special.ndtr((events.excesses - half) / DETECTION_WIDTH)
    drawn = (noise.uniform(*detected.shape) < detected).to(detected.dtype) + detected - detected.detach()
    distance = torch.sqrt(events.along**2 + events.across**2 + 1e-9)
    within = step((radius - distance) / (0.05 * radius)) * (events.days < days)
    return events._replace(there=events.there * drawn * within)

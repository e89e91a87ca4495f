"""Aftershocks as differentiable functions of a law's parameters and of noise.

    mainshock ─▶ direct aftershocks (Omori–Utsu) ─┐
    background events (uniform in time) ──────────┴─▶ their aftershocks ─▶ the aftershocks of those ─▶ detection, radius, days

Times come from a Poisson process of unit rate that arrives at Γ₁, Γ₂, …: the i-th event occurs when the expected number of events
reaches Γᵢ (operational time, Ogata 1988, JASA 83, 9–27), so the arrivals also decide how many events fall within the days. Times,
distances and magnitudes are smooth functions of noise and law. Whether an event is present is 0 or 1, with the gradient of a smooth step
(straight-through estimator, Bengio et al. 2013, arXiv:1308.3432).

Tensors are (B, L): B sequences, L slots for events.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

LARGEST_EXCESS = 7.0
DETECTION_WIDTH = 0.3
"""In magnitude units (Ogata & Katsura 1993)."""
SHORTEST_DAYS = 1e-5
GENERATIONS = 2
"""Generations of triggered events after the direct aftershocks and the background events."""


class Law(NamedTuple):
    """The parameters of B sequences, (B, 1) each. Times are in days, distances in scales of the mainshock."""

    log_number: torch.Tensor
    """ln of the expected number of direct aftershocks within the days."""
    log_c: torch.Tensor
    p: torch.Tensor
    """Omori–Utsu's law for direct aftershocks: (t + c)^−p."""
    log_background: torch.Tensor
    """ln of the expected number of background events within the days and the radius."""
    beta: torch.Tensor
    """b ln 10."""
    offspring: torch.Tensor
    """Mean number of aftershocks that an event triggers."""
    growth: torch.Tensor
    """α: the number triggered grows with exp(α × excess); it is kept below β."""
    log_child_c: torch.Tensor
    child_p: torch.Tensor
    """Omori–Utsu's law for the aftershocks of aftershocks."""
    log_near: torch.Tensor
    """ln of the width of the spatial kernel about the rupture."""
    rho: torch.Tensor
    line: torch.Tensor
    """Length of the rupture."""
    aspect: torch.Tensor
    """ln of the length of the cloud of epicentres over its width."""
    log_child_near: torch.Tensor
    """ln of the width of the spatial kernel of an event at completeness."""
    patch: torch.Tensor
    """Background events lie at a distance of radius × U^patch."""
    hidden: torch.Tensor
    """G: at a time t half of the events of magnitude M − G − H log10 t are detected."""
    hidden_decay: torch.Tensor
    """H."""
    depth_shift: torch.Tensor
    """Mean depth relative to the mainshock, km."""
    log_depth_spread: torch.Tensor
    """ln of the spread of depths, km."""


class Events(NamedTuple):
    """The events of B sequences, (B, L) each."""

    days: torch.Tensor
    excesses: torch.Tensor
    along: torch.Tensor
    across: torch.Tensor
    """Along the rupture and across, in scales."""
    depths_km: torch.Tensor
    """Relative to the mainshock, positive downwards."""
    present: torch.Tensor
    """1 for an event, 0 for an empty slot."""


class Noise:
    """Random numbers of the precision of a tensor, from a seeded generator."""

    def __init__(self, rng: torch.Generator, like: torch.Tensor) -> None:
        self._rng, self._like = rng, like

    def uniform(self, *shape: int) -> torch.Tensor:
        low = 1e-6 if self._like.dtype == torch.float32 else 1e-12
        return torch.rand(*shape, generator=self._rng, dtype=self._like.dtype).clamp(low, 1.0 - low)

    def exponential(self, *shape: int) -> torch.Tensor:
        return -torch.log(self.uniform(*shape))

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self._rng, dtype=self._like.dtype)


def simulate_aftershocks(law: Law, excess: torch.Tensor, radius: float, days: float, most_events: int, noise: Noise) -> Events:
    """Simulate B sequences, one for each row of the law.

    Args:
        excess: (B, 1) of the mainshocks.
        radius: in scales.
        days: length of the sequences.
        most_events: of each kind (direct aftershocks, background events, each generation of triggered events) and sequence.

    Returns:
        (B, L) events in no order, with empty slots.
    """
    parents = join_events([_direct_aftershocks(law, days, most_events, noise), _background_events(law, radius, days, most_events, noise)])
    generations = [parents]
    for _ in range(GENERATIONS):
        parents = _triggered_events(law, parents, days, most_events, noise)
        generations.append(parents)
    return _detect(join_events(generations), law, excess, radius, days, noise)


def omori_days(share: torch.Tensor, log_c: torch.Tensor, p: torch.Tensor, days: float) -> torch.Tensor:
    """Return the times by which a share u of the events within T days has occurred: Omori–Utsu's law, inverted.

        u = ∫₀ᵗ (s + c)^(−p) ds / ∫₀ᵀ (s + c)^(−p) ds        t = c {[1 + u (((T + c)/c)^(1−p) − 1)]^(1/(1−p)) − 1}

    Args:
        share: (B, L) u.
        log_c, p: (B, 1); a p of 1 is replaced by 0.999.
        days: T.

    Returns:
        (B, L) days, plus the shortest time that is distinguished.
    """
    power = 1.0 - p
    power = torch.where(power.abs() < 1e-3, torch.full_like(power, 1e-3), power)
    log_whole = torch.log1p(days * torch.exp(-log_c))  # ln ((T + c)/c)
    log_ratio = torch.log1p(share * torch.expm1(power * log_whole)) / power
    return torch.exp(log_c) * torch.expm1(log_ratio) + SHORTEST_DAYS


def join_events(parts: list[Events]) -> Events:
    """Return the slots of several parts side by side: (B, L₁), (B, L₂), … -> (B, L₁ + L₂ + …)."""
    return Events(*(torch.cat(columns, 1) for columns in zip(*parts, strict=True)))


def rotate(along: torch.Tensor, across: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the coordinates of B sequences, (B, L) each, rotated about the mainshock by a random angle for each sequence."""
    angle = 2.0 * math.pi * torch.rand(len(along), 1, generator=rng)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return cosine * along - sine * across, sine * along + cosine * across


def straight_through_step(margin: torch.Tensor) -> torch.Tensor:
    """Return 1 where the margin is positive, else 0, with the gradient of the logistic function."""
    soft = torch.sigmoid(margin)
    return (margin > 0.0).to(margin.dtype) + soft - soft.detach()


def _slots(expected: torch.Tensor, most_events: int) -> int:
    """Return the number of slots that hardly any Poisson number with these means exceeds: mean + 5 standard deviations + 6."""
    largest = float(expected.detach().max())
    return int(min(largest + 5.0 * math.sqrt(largest) + 6.0, most_events))


def _arrivals(expected: torch.Tensor, most_events: int, noise: Noise) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two (B, L): Γᵢ divided by the expected number, and whether the i-th event occurs (Γᵢ below the expected number)."""
    arrivals = noise.exponential(len(expected), _slots(expected, most_events)).cumsum(1)
    present = straight_through_step((expected - arrivals) / (0.5 + 0.3 * torch.sqrt(expected)))
    return arrivals / expected, present


def _direct_aftershocks(law: Law, days: float, most_events: int, noise: Noise) -> Events:
    """Return the aftershocks of the mainshock itself, about a rupture that extends to one side or to both."""
    share, present = _arrivals(torch.exp(law.log_number), most_events, noise)
    size = share.shape
    rupture_shift = noise.uniform(size[0], 1) - 0.5
    on_rupture = law.line * (noise.uniform(*size) - 0.5 + rupture_shift)
    along, across = _power_law_offsets(torch.exp(law.log_near), law.rho, law.aspect, noise, size)
    depths = law.depth_shift + torch.exp(law.log_depth_spread) * noise.normal(*size)
    times = omori_days(share.clamp(max=1.0), law.log_c, law.p, days)
    return Events(times, noise.exponential(*size) / law.beta, along + on_rupture, across, depths, present)


def _background_events(law: Law, radius: float, days: float, most_events: int, noise: Noise) -> Events:
    """Return background events, uniform in time."""
    share, present = _arrivals(torch.exp(law.log_background), most_events, noise)
    size = share.shape
    distance, angle = radius * noise.uniform(*size) ** law.patch, 2.0 * math.pi * noise.uniform(*size)
    depths = law.depth_shift + torch.exp(law.log_depth_spread) * noise.normal(*size)
    excesses = noise.exponential(*size) / law.beta
    return Events(days * share.clamp(max=1.0), excesses, distance * torch.cos(angle), distance * torch.sin(angle), depths, present)


def _triggered_events(law: Law, parents: Events, days: float, most_events: int, noise: Noise) -> Events:
    """Return the next generation.

    The expected number of events that a parent of excess x triggers, with a mean of `offspring` over Gutenberg–Richter magnitudes, is
    offspring (1 − α/β) exp(α x). A triggered event belongs to a parent with a probability in proportion to this number.
    """
    growth = torch.minimum(law.growth, 0.9 * law.beta)
    each = law.offspring * (1.0 - growth / law.beta) * torch.exp(growth * parents.excesses.clamp(max=LARGEST_EXCESS))
    weights = each * parents.present  # (B, L) expected numbers
    expected = weights.sum(1, keepdim=True).clamp(1e-3, float(most_events))
    _, present = _arrivals(expected, most_events, noise)
    size = present.shape
    bounds = weights.detach().clamp(min=0.0).cumsum(1)
    number = torch.searchsorted(bounds, noise.uniform(*size) * bounds[:, -1:]).clamp(max=bounds.shape[1] - 1)
    parent = Events(*(column.gather(1, number) for column in parents))
    times = parent.days + omori_days(noise.uniform(*size), law.log_child_c, law.child_p, days)
    width = torch.exp(law.log_child_near + 0.9 * parent.excesses.detach().clamp(max=LARGEST_EXCESS))
    along, across = _power_law_offsets(width, law.rho, torch.zeros_like(law.aspect), noise, size)
    depths = parent.depths_km + 0.3 * torch.exp(law.log_depth_spread) * noise.normal(*size)
    present = present * straight_through_step((days - times) / (0.02 * days)) * parent.present.detach()
    return Events(times, noise.exponential(*size) / law.beta, parent.along + along, parent.across + across, depths, present)


def _power_law_offsets(
    width: torch.Tensor, rho: torch.Tensor, aspect: torch.Tensor, noise: Noise, size: torch.Size
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two (B, L), offsets along and across, with P(r² > s) = (width²/(s + width²))^ρ as in ETAS, stretched along the rupture."""
    distance = width * torch.sqrt(noise.uniform(*size) ** (-1.0 / rho) - 1.0 + 1e-9)
    angle = 2.0 * math.pi * noise.uniform(*size)
    return distance * torch.cos(angle) * torch.exp(0.5 * aspect), distance * torch.sin(angle) * torch.exp(-0.5 * aspect)


def _detect(events: Events, law: Law, excess: torch.Tensor, radius: float, days: float, noise: Noise) -> Events:
    """Return the events that a catalogue would have: within days and radius, and detected.

    Short-term incompleteness after the mainshock (Helmstetter et al. 2006): an event of excess x is detected with probability
    Φ((x − μ(t))/0.3), where μ(t) = excess − G − H log10 t.
    """
    middle = excess - law.hidden - law.hidden_decay * torch.log10(events.days.clamp(min=SHORTEST_DAYS))
    probability = torch.special.ndtr((events.excesses - middle) / DETECTION_WIDTH)
    is_detected = (noise.uniform(*probability.shape) < probability).to(probability.dtype) + probability - probability.detach()
    distance = torch.sqrt(events.along**2 + events.across**2 + 1e-9)
    is_within = straight_through_step((radius - distance) / (0.05 * radius)) * (events.days < days)
    return events._replace(present=events.present * is_detected * is_within)

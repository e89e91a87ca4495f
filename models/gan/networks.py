"""A generator of aftershock sequences, conditional on the mainshock and on what its place is like, and the critic that teaches it.

    condition (12), z ~ N(0, 1)²⁷ ─▶ network ─▶ a law for this one sequence ─▶ events (`gan_process`)       generator
    events ─▶ network for each ─▶ mean, largest ─┐
    statistics, condition ───────────────────────┴─▶ network ─▶ score                                      critic

The generator begins as a textbook sampler (Omori–Utsu, Gutenberg–Richter, a power law of distances, children of events) and learns
which law holds when: z draws what differs between sequences alike in all that is known. The critic sees sets of events of any number; its
loss needs no interpolation between sequences of different lengths, which WGAN-GP would (see `gan_train`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from ingest.problem import Problem
from models.catalog import LARGEST_MAGNITUDE
from models.gan.condition import FEATURES, RADIUS_IN_SCALES, Condition
from models.gan.process import Events, Law, Noise, aftershocks
from models.gan.statistics import EVENT_COLUMNS, STATISTICS, Seen
from models.numerics import FloatArray

RANGES = {
    "log_c": (-4.6, -9.0, 1.0),
    "p": (1.05, 0.6, 1.9),
    "offspring": (0.4, 0.0, 0.95),
    "growth": (1.6, 0.3, 2.2),
    "log_child_c": (-5.0, -9.0, 1.0),
    "child_p": (1.1, 0.6, 1.9),
    "log_near": (-1.6, -5.0, 1.0),
    "rho": (1.0, 0.4, 3.0),
    "line": (0.6, 0.0, 2.5),
    "aspect": (0.3, 0.0, 2.5),
    "log_child_near": (-3.0, -6.0, 0.5),
    "patch": (0.5, 0.2, 1.5),
    "hidden": (5.0, 3.0, 8.0),
    "hidden_decay": (0.75, 0.2, 1.4),
}
"""Where each number of the law begins, and between which limits it stays."""
FREE = ("log_number", "log_background", "log_beta", "depth_shift", "log_depth_spread")
"""Numbers that are added to what the condition says."""
WIDEST_FEATURE = 3.0
FIRST_SPREAD = 0.3
"""Standard deviation of what differs between sequences alike in their condition, before it is learned."""
MOST_EVENTS = 30_000
AT_ONCE = 200_000
"""Events that are made at the same time."""
LARGEST_NUMBER = 9.5
"""ln of direct aftershocks."""


class GanArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the generator, and the stretch of time its laws are for."""

    days: float = 30.0
    noise: int = 8
    width: int = 48
    features: int = FEATURES


class Simulated(NamedTuple):
    """N events after a mainshock, in the order of time."""

    days: FloatArray
    """(N,) since the mainshock."""
    magnitudes: FloatArray
    east_km: FloatArray
    north_km: FloatArray
    """(N,) from the mainshock."""
    depth_km: FloatArray
    """(N,) below the surface."""


class SequenceGenerator(nn.Module):
    """Makes sequences; see the module."""

    centre: torch.Tensor
    width: torch.Tensor

    def __init__(self, architecture: GanArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        size, outputs = architecture.features, len(RANGES) + len(FREE)
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("width", torch.ones(size))
        self.plain = nn.Linear(size, outputs)
        self.varied = nn.Linear(size, outputs)
        self.network = nn.Sequential(
            nn.Linear(size + architecture.noise, architecture.width), nn.SiLU(),
            nn.Linear(architecture.width, architecture.width), nn.SiLU(),
            nn.Linear(architecture.width, outputs),
        )  # fmt: skip
        nn.init.zeros_(self.plain.weight)
        nn.init.zeros_(self.plain.bias)
        nn.init.zeros_(self.varied.weight)
        nn.init.constant_(self.varied.bias, math.log(FIRST_SPREAD))
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.03)
        nn.init.zeros_(last.bias)

    def law(self, features: torch.Tensor, noise: torch.Tensor) -> Law:
        """The law of each of B sequences.

        Args:
            features: (B, FEATURES) of the conditions.
            noise: (B, outputs + noise) standard normal: for each number of the law one of its own, and those that the network mixes.
        """
        scaled = (features - self.centre) / self.width
        bounded = WIDEST_FEATURE * torch.tanh(scaled / WIDEST_FEATURE)
        own, mixed = noise[:, : -self.architecture.noise], noise[:, -self.architecture.noise :]
        spread = torch.exp(self.varied(bounded).clamp(-5.0, 1.0))  # (B, outputs)
        raw = self.plain(scaled) + spread * own + self.network(torch.cat((bounded, mixed), 1))  # (B, outputs)
        free = dict(zip(FREE, raw[:, : len(FREE), None].unbind(1), strict=True))
        held = {name: _within(raw[:, len(FREE) + k, None], *limits) for k, (name, limits) in enumerate(RANGES.items())}
        return self._law(features, free, held)

    def _law(self, features: torch.Tensor, free: dict[str, torch.Tensor], held: dict[str, torch.Tensor]) -> Law:
        """What the condition says, and what was learned. The columns are those of `Condition.features`."""
        log_background = (features[:, 3:4] - 1.0) * 3.0 + math.log(self.architecture.days)
        log_spread = torch.log(torch.exp(features[:, 8:9] + 1.5) - 0.5 + 0.3)
        return Law(
            log_number=free["log_number"].clamp(-4.0, LARGEST_NUMBER),
            log_background=(log_background + 2.5 * torch.tanh(free["log_background"] / 2.5)).clamp(-6.0, LARGEST_NUMBER),
            beta=math.log(10.0) * torch.exp(features[:, 2:3] + 0.7 * torch.tanh(free["log_beta"])),
            depth_shift=4.0 * torch.tanh(free["depth_shift"] / 4.0) * torch.exp(log_spread),
            log_depth_spread=log_spread + 2.0 * torch.tanh(free["log_depth_spread"] / 2.0),
            **held,
        )

    def forward(self, features: torch.Tensor, most: int, chance: torch.Generator) -> Events:
        """B sequences, not packed; their excesses begin at 0 (half a step of rounding below completeness)."""
        noise = Noise(chance, features)
        law = self.law(features, noise.normal(len(features), len(RANGES) + len(FREE) + self.architecture.noise))
        return aftershocks(law, features[:, :1] + 2.5, RADIUS_IN_SCALES, self.architecture.days, most, noise)

    @torch.no_grad()
    def sample(self, condition: Condition, n: int, days: float, seed: int) -> list[Simulated]:
        """So many sequences for a condition, always the same for a seed.

        Args:
            days: at most those the generator was trained for.

        Raises:
            Problem: more days than that.
        """
        if not 0.0 < days <= self.architecture.days:
            raise Problem(f"the generator makes sequences of at most {self.architecture.days:g} days, not {days:g}", "ask for fewer days")
        chance = torch.Generator().manual_seed(seed)
        double = _double(self)
        features = torch.from_numpy(condition.features())[None]
        together = int(max(min(AT_ONCE / (60.0 * math.exp(max(2.0 * condition.excess - 3.0, 0.0))), 256), 1))
        made: list[Simulated] = []
        while len(made) < n:
            events = double(features.expand(min(together, n - len(made)), -1), MOST_EVENTS, chance)
            strikes = 2.0 * math.pi * torch.rand(len(events.days), generator=chance, dtype=torch.float64)
            made += [
                _simulated(Events(*(column[k].numpy() for column in events)), float(strikes[k]), condition, days)
                for k in range(len(strikes))
            ]
        return made


class Critic(nn.Module):
    """Tells real sequences from made ones."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(EVENT_COLUMNS + FEATURES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.whole = nn.Sequential(
            nn.Linear(2 * width + STATISTICS + FEATURES, 2 * width), nn.SiLU(),
            nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, events: torch.Tensor, there: torch.Tensor, statistics: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """(B,) scores.

        Args:
            events: (B, L, EVENT_COLUMNS).
            there: (B, L).
            statistics: (B, STATISTICS), standardised.
            features: (B, FEATURES), standardised.
        """
        told = features[:, None].expand(-1, events.shape[1], -1)
        each = self.each(torch.cat((events, told), 2)) * there[:, :, None]  # (B, L, width)
        mean = each.sum(1) / (there.sum(1, keepdim=True) + 1.0)
        return torch.squeeze(self.whole(torch.cat((mean, each.amax(1), statistics, features), 1)), 1)


def shown(seen: Seen, centre: torch.Tensor, width: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the critic takes, the statistics standardised."""
    return seen.events, seen.there, (seen.statistics - centre) / width


def _within(raw: torch.Tensor, begin: float, low: float, high: float) -> torch.Tensor:
    share = min(max((begin - low) / (high - low), 0.02), 0.98)
    return low + (high - low) * torch.sigmoid(raw + math.log(share / (1.0 - share)))


def _double(generator: SequenceGenerator) -> SequenceGenerator:
    """A copy in double precision."""
    copy = SequenceGenerator(generator.architecture).double()
    copy.load_state_dict(generator.state_dict())
    return copy.eval()


def _simulated(events: Events, strike: float, condition: Condition, days: float) -> Simulated:
    """One sequence, turned so that its rupture has that strike, its magnitudes rounded as the catalogue's."""
    columns = [np.asarray(column) for column in events]
    kept = (columns[5] > 0.5) & (columns[0] < days)
    order = np.flatnonzero(kept)[np.argsort(columns[0][kept], kind="stable")][:MOST_EVENTS]
    times, excesses, along, across, depths = (column[order] for column in columns[:5])
    step, scale = condition.magnitude_step, condition.scale_km
    magnitudes = condition.magnitude_of_completeness + excesses - step / 2.0
    rounded = np.round(np.round(magnitudes / step) * step, 6) if step else magnitudes
    return Simulated(
        days=times,
        magnitudes=np.clip(rounded, condition.magnitude_of_completeness, LARGEST_MAGNITUDE),
        east_km=scale * (along * math.sin(strike) + across * math.cos(strike)),
        north_km=scale * (along * math.cos(strike) - across * math.sin(strike)),
        depth_km=np.maximum(condition.depth_km + depths, 0.0),
    )

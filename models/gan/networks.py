"""The generator of aftershock sequences, conditional on the mainshock and its surroundings, and the critic that it is trained against.

    condition (12), z ~ N(0, 1)²⁷ ─▶ network ─▶ law of one sequence ─▶ events (`models.gan.process`)       generator
    events ─▶ network for each ─▶ mean, maximum ─┐
    statistics, condition ───────────────────────┴─▶ network ─▶ score                                      critic

The generator starts as a textbook sampler (Omori–Utsu, Gutenberg–Richter, a power law of distances, triggered events) and learns which
law holds under which condition. The noise z describes how sequences of equal conditions differ.

The critic reads sets of any number of events. Its loss needs no interpolation between sequences of different lengths, which WGAN-GP would
need (see `models.gan.train`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from ingest.problem import Problem
from models.catalog import LARGEST_MAGNITUDE, round_to_step
from models.gan.condition import (
    FEATURES,
    RADIUS_IN_SCALES,
    Condition,
    depth_spread_of,
    excess_of,
    log_b_value_of,
    log_background_of,
    typical_log_count,
)
from models.gan.process import Events, Law, Noise, simulate_aftershocks
from models.gan.statistics import EVENT_COLUMNS, STATISTICS, CriticInput
from models.numerics import FloatArray, Shapes, linear_shapes

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
"""Parameters of the law that are bounded: start, lower and upper bound."""
FREE = ("log_number", "log_background", "log_beta", "depth_shift", "log_depth_spread")
"""Parameters that are added to what the condition gives."""
FEATURE_LIMIT = 3.0
INITIAL_SPREAD = 0.3
"""Standard deviation of a parameter between sequences of equal conditions, before training."""
MOST_EVENTS = 30_000
EVENTS_AT_ONCE = 200_000
"""Approximate number of events simulated at the same time."""
LARGEST_LOG_NUMBER = 9.5
"""Upper bound of ln of the expected numbers of direct aftershocks and of background events."""


class GanArchitecture(msgspec.Struct, frozen=True):
    """Sizes of the generator, and the length of its sequences."""

    days: float = 30.0
    noise: int = 8
    width: int = 48
    features: int = FEATURES

    @property
    def weight_shapes(self) -> Shapes:
        """The shapes of the weights of a `SequenceGenerator`, by name."""
        outputs = len(RANGES) + len(FREE)
        shapes: Shapes = dict.fromkeys(("centre", "width"), (self.features,))
        shapes |= linear_shapes("plain", self.features, outputs) | linear_shapes("varied", self.features, outputs)
        shapes |= linear_shapes("network.0", self.features + self.noise, self.width)
        return shapes | linear_shapes("network.2", self.width, self.width) | linear_shapes("network.4", self.width, outputs)


class SimulatedSequence(NamedTuple):
    """N events after a mainshock, in the order of time."""

    days: FloatArray
    """(N,) since the mainshock."""
    magnitudes: FloatArray
    east_km: FloatArray
    north_km: FloatArray
    """(N,) relative to the mainshock."""
    depth_km: FloatArray
    """(N,) below the surface."""


class SequenceGenerator(nn.Module):
    """Generates sequences for a condition; see the module."""

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
        nn.init.constant_(self.varied.bias, math.log(INITIAL_SPREAD))
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.03)
        nn.init.zeros_(last.bias)

    def scale(self, features: torch.Tensor) -> torch.Tensor:
        """Return standardised features, (B, FEATURES)."""
        return (features - self.centre) / self.width

    def law(self, features: torch.Tensor, noise: torch.Tensor) -> Law:
        """Return the law of each of B sequences.

            raw = A x + exp(V x) z₁ + network(x, z₂)        x: standardised features, clipped smoothly in V and the network

        Args:
            features: (B, FEATURES) of the conditions.
            noise: (B, outputs + noise) standard normal: z₁, one number for each parameter, and z₂, which the network mixes.
        """
        scaled = self.scale(features)
        clipped = FEATURE_LIMIT * torch.tanh(scaled / FEATURE_LIMIT)
        own, mixed = noise[:, : -self.architecture.noise], noise[:, -self.architecture.noise :]
        spread = torch.exp(self.varied(clipped).clamp(-5.0, 1.0))  # (B, outputs)
        raw = self.plain(scaled) + spread * own + self.network(torch.cat((clipped, mixed), 1))  # (B, outputs)
        free = dict(zip(FREE, raw[:, : len(FREE), None].unbind(1), strict=True))
        bounded = {name: _within(raw[:, len(FREE) + k, None], *limits) for k, (name, limits) in enumerate(RANGES.items())}
        return self._law(features, free, bounded)

    def _law(self, features: torch.Tensor, free: dict[str, torch.Tensor], bounded: dict[str, torch.Tensor]) -> Law:
        """Return the law: background, b and depths as the condition gives them, changed within limits by the learned numbers."""
        log_background = log_background_of(features) + math.log(self.architecture.days)
        log_spread = torch.log(depth_spread_of(features) + 0.3)
        return Law(
            log_number=free["log_number"].clamp(-4.0, LARGEST_LOG_NUMBER),
            log_background=(log_background + 2.5 * torch.tanh(free["log_background"] / 2.5)).clamp(-6.0, LARGEST_LOG_NUMBER),
            beta=math.log(10.0) * torch.exp(log_b_value_of(features) + 0.7 * torch.tanh(free["log_beta"])),
            depth_shift=4.0 * torch.tanh(free["depth_shift"] / 4.0) * torch.exp(log_spread),
            log_depth_spread=log_spread + 2.0 * torch.tanh(free["log_depth_spread"] / 2.0),
            **bounded,
        )

    def forward(self, features: torch.Tensor, most_events: int, rng: torch.Generator) -> Events:
        """Return B sequences, (B, L) with empty slots; excesses begin at 0, which is half a step of rounding below completeness."""
        noise = Noise(rng, features)
        law = self.law(features, noise.normal(len(features), len(RANGES) + len(FREE) + self.architecture.noise))
        return simulate_aftershocks(law, excess_of(features), RADIUS_IN_SCALES, self.architecture.days, most_events, noise)

    @torch.no_grad()
    def sample(self, condition: Condition, n: int, days: float, seed: int) -> list[SimulatedSequence]:
        """Return n sequences for a condition; the same seed gives the same sequences.

        Args:
            days: length of the sequences, at most that of the training.

        Raises:
            Problem: more days than in the training.
        """
        if not 0.0 < days <= self.architecture.days:
            raise Problem(f"the generator makes sequences of at most {self.architecture.days:g} days, not {days:g}", "ask for fewer days")
        rng = torch.Generator().manual_seed(seed)
        generator = _in_double_precision(self)
        features = torch.from_numpy(condition.features())[None]
        expected_events = 60.0 * math.exp(max(typical_log_count(condition.excess), 0.0))
        at_once = int(max(min(EVENTS_AT_ONCE / expected_events, 256), 1))
        sequences: list[SimulatedSequence] = []
        while len(sequences) < n:
            events = generator(features.expand(min(at_once, n - len(sequences)), -1), MOST_EVENTS, rng)
            strikes = 2.0 * math.pi * torch.rand(len(events.days), generator=rng, dtype=torch.float64)
            sequences += [
                _simulated_sequence(Events(*(column[k].numpy() for column in events)), float(strikes[k]), condition, days)
                for k in range(len(strikes))
            ]
        return sequences


class Critic(nn.Module):
    """Scores how real sequences look."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(EVENT_COLUMNS + FEATURES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.whole = nn.Sequential(
            nn.Linear(2 * width + STATISTICS + FEATURES, 2 * width), nn.SiLU(),
            nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, events: torch.Tensor, present: torch.Tensor, statistics: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the scores of B sequences, (B,); real ones score high after training.

        Args:
            events: (B, L, EVENT_COLUMNS).
            present: (B, L), 1 or 0.
            statistics: (B, STATISTICS), standardised.
            features: (B, FEATURES), standardised.
        """
        of_each_event = features[:, None].expand(-1, events.shape[1], -1)
        each = self.each(torch.cat((events, of_each_event), 2)) * present[:, :, None]  # (B, L, width)
        mean = each.sum(1) / (present.sum(1, keepdim=True) + 1.0)
        return torch.squeeze(self.whole(torch.cat((mean, each.amax(1), statistics, features), 1)), 1)


def critic_arguments(given: CriticInput, centre: torch.Tensor, width: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the first three arguments of the critic, with standardised statistics."""
    return given.events, given.present, (given.statistics - centre) / width


def _within(raw: torch.Tensor, start: float, low: float, high: float) -> torch.Tensor:
    """Return raw outputs as numbers between two bounds; 0 becomes `start`, or 2 % of the range inside the bound nearest to it."""
    share = min(max((start - low) / (high - low), 0.02), 0.98)
    return low + (high - low) * torch.sigmoid(raw + math.log(share / (1.0 - share)))


def _in_double_precision(generator: SequenceGenerator) -> SequenceGenerator:
    copy = SequenceGenerator(generator.architecture).double()
    copy.load_state_dict(generator.state_dict())
    return copy.eval()


def _simulated_sequence(events: Events, strike: float, condition: Condition, days: float) -> SimulatedSequence:
    """Return one sequence in km and magnitudes: rotated to a strike (radians), magnitudes rounded as in the catalogue.

    Args:
        events: (L,) each, as numpy arrays.
    """
    columns = [np.asarray(column) for column in events]
    times, present = columns[0], columns[5]
    rows = (present > 0.5) & (times < days)
    order = np.flatnonzero(rows)[np.argsort(times[rows], kind="stable")][:MOST_EVENTS]
    times, excesses, along, across, depths = (column[order] for column in columns[:5])
    step, scale = condition.magnitude_step, condition.scale_km
    magnitudes = condition.magnitude_of_completeness + excesses - step / 2.0
    rounded = np.round(round_to_step(magnitudes, step), 6) if step else magnitudes
    return SimulatedSequence(
        days=times,
        magnitudes=np.clip(rounded, condition.magnitude_of_completeness, LARGEST_MAGNITUDE),
        east_km=scale * (along * math.sin(strike) + across * math.cos(strike)),
        north_km=scale * (along * math.cos(strike) - across * math.sin(strike)),
        depth_km=np.maximum(condition.depth_km + depths, 0.0),
    )

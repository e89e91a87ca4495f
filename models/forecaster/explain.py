"""Explanations of a forecast: the share of each past event in the rate, and the inputs that changed it most.

*Shares* are exact: λ(t) = μ + Σ_j Σ_k w_jk exp(−(t − t_j)/τ_k)/τ_k is a sum over past events, and each has its own term. The events that
are no longer in the ring count together as `older`.

*Influences* are integrated gradients (Sundararajan, Taly & Yan 2017, ICML, eq. 1; Captum), from the training span's mean inputs to the
actual ones; they add up to the whole difference. Those of the last event's kernel are in ln Σ_k w_k, the ln of the events that it is
expected to trigger. Those of the memory are in E[ln X], by which it expects the wait to be longer (negative: shorter) than the kernels do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ingest.instant import Instant
from models.numerics import FloatArray, Trained, degrees_of
from models.timing import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    RADII_KM,
    RING_EXCESS,
    RING_POSITION,
    RING_TIME,
    TAUS_DAYS,
    TRACES,
    Architecture,
    LiveTiming,
    TimingNetwork,
    kernel_rate,
    kernel_weights,
    silence_days,
    wait_of_outputs,
)
from stream.records import Contribution, Explanation, Influence

STEPS = 64
"""Steps of the integral; the effects then add up to the difference to 1 part in 1,000."""
EULER_GAMMA = 0.5772156649015329
"""−E[ln X] of the standard exponential."""
_RINGS = [f"past events within {radius:g} km" for radius in RADII_KM]
KERNEL_INPUTS = (
    "magnitude", "time since the last event", "distance to the last event",
    *(name for name in (*_RINGS, "past events of the region") for _ in range(TRACES)),
)  # fmt: skip


def explain_forecast(
    network: TimingNetwork, past: FloatArray, region: str, magnitude_of_completeness: float, now: Instant, most: int = 10
) -> Explanation:
    """Explain the forecast that a region's state gives at a moment.

    Args:
        past: (size,) the state of `LiveTiming`.
        region: the region's id.
        now: not before the last event.
        most: the largest number of events, and of inputs of each kind, in the explanation.
    """
    live = LiveTiming(Trained.of(network))
    ring, silence = live.ring(past), np.float64(silence_days(past, now))
    rate = float(kernel_rate(past[EXCITATION], past[BACKGROUND], silence, TAUS_DAYS, live.large_events(past)))
    shares = live.ring_rates(past, now) / rate  # (n,)
    order = np.argsort(-shares, kind="stable")[:most]
    background = float(past[BACKGROUND]) / rate
    return Explanation(
        region,
        now,
        rate,
        background,
        max(1.0 - background - float(shares.sum()), 0.0),
        [_contribution(ring[row], float(shares[row]), magnitude_of_completeness) for row in order],
        _kernel_influences(network, live, past, most) if past[COUNT] else [],
        _memory_influences(network, live, past, most),
    )


def memory_input_names(architecture: Architecture) -> tuple[str, ...]:
    """Return the names of the memory's inputs, in order."""
    kernels = [f"rate that decays over {_span(tau)}" for tau in TAUS_DAYS]
    own = ("expected count in the last wait", "magnitude", "time since the last event", "distance to the last event", "start")
    hours = ("hour of the day",) * 4 if architecture.hours else ()
    return ("rate", *kernels, *own, *hours)


def _contribution(row: FloatArray, share: float, magnitude_of_completeness: float) -> Contribution:
    latitude, longitude = map(float, degrees_of(row[RING_POSITION]))
    magnitude = round(float(row[RING_EXCESS]) + magnitude_of_completeness, 4)
    return Contribution(Instant(int(row[RING_TIME])), round(latitude, 5), round(longitude, 5), magnitude, share)


def _kernel_influences(network: TimingNetwork, live: LiveTiming, past: FloatArray, most: int) -> list[Influence]:
    """Return the influences on the expected offspring of the last event."""
    raw = torch.from_numpy(live.newest_features(past))
    kernels = network.kernels

    def log_weight(scaled: torch.Tensor) -> torch.Tensor:
        excesses = scaled[:, 0] / kernels.scaler.scale[0] + kernels.scaler.mean[0]
        weights: torch.Tensor = kernel_weights(kernels.plain_weights(excesses.clamp_min(0.0)), kernels.log_corrections(scaled)).sum(1)
        return torch.log(weights)

    return _influences(log_weight, kernels.scaler(raw), KERNEL_INPUTS, most)


def _memory_influences(network: TimingNetwork, live: LiveTiming, past: FloatArray, most: int) -> list[Influence]:
    """Return the influences on the wait that the memory expects."""
    hidden, inputs = (torch.from_numpy(part) for part in live.memory_state(past))

    def lengthening(scaled: torch.Tensor) -> torch.Tensor:
        members, rows = len(hidden), len(scaled)
        states = hidden[:, None].expand(members, rows, -1)
        wait = wait_of_outputs(network.memory.head(states, scaled.expand(members, rows, -1)), scaled[:, :1], scaled[:, 0], scaled[0, :1])
        means: torch.Tensor = (wait.log_weights.exp() * wait.means).sum(1) - EULER_GAMMA * wait.log_exponential.exp()
        return means

    return _influences(lengthening, inputs, memory_input_names(network.architecture), most)


def _influences(
    function: Callable[[torch.Tensor], torch.Tensor], scaled: torch.Tensor, names: tuple[str, ...], most: int
) -> list[Influence]:
    """Return the function's value at the average inputs, then the effects of the inputs, the largest first; those of one name are added.

    Args:
        function: (B, inputs) -> (B,).
        scaled: (inputs,) the actual inputs, scaled; the average ones are 0.
        names: of the inputs.
        most: the largest number of effects.
    """
    actual = scaled[None].detach()
    from captum.attr import IntegratedGradients  # type: ignore[import-untyped, unused-ignore]  # slow to load, and seldom needed

    effects = IntegratedGradients(function).attribute(actual, torch.zeros_like(actual), n_steps=STEPS)[0]
    with torch.no_grad():
        average = float(function(torch.zeros_like(actual)))
    totals: dict[str, float] = {}
    for name, effect in zip(names, effects.tolist(), strict=True):
        totals[name] = totals.get(name, 0.0) + effect
    ordered = sorted(totals.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
    return [Influence("average", average), *(Influence(name, effect) for name, effect in ordered)]


def _span(days: float) -> str:
    """Return days in the largest unit of which there are two."""
    for unit, length in (("years", 365.25), ("days", 1.0), ("hours", 1.0 / 24.0)):
        if days >= 2.0 * length:
            return f"{days / length:.2g} {unit}"
    return f"{days * 1_440.0:.2g} minutes"

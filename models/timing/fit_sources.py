"""Let a trained network read events below completeness as sources, without training it again.

Its kernels and its memory stay as they are, but for one factor of all kernels and one of all background rates: where sources explain a part
of the rate, the events explain less. With the factors e^d and e^b and the sources' weights c' the rate is linear,

    λ = e^b μ + e^d Σ_events + Σ_ak c'_ak S_ak

so the likelihood on the training span is concave in (e^b, e^d, c'), and found in seconds. Most catalogues do not go on below
completeness, or do not tell when they first had an event: a network trained on all of them learns its sources from those that do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.problem import Problem
from models.catalog import RegionDataset, Span
from models.numerics import FloatArray
from models.timing.excitation import KERNELS, TAUS_DAYS
from models.timing.model import TimingNetwork
from models.timing.sequence_rows import intervals_of
from models.timing.sources import SOURCE_TERMS, source_rates_after_rows, source_rates_since, source_terms_per_event

STEPS = 300
FIRST_LOG_PRODUCTIVITY = -6.0


class _Parts(NamedTuple):
    """What the parts of the rate are at the ends of I intervals, and what each expects within them: (I, 2 + SOURCE_TERMS) each."""

    rates: torch.Tensor
    expected: torch.Tensor
    has_event: torch.Tensor

    def likelihood(self, log_factors: torch.Tensor) -> torch.Tensor:
        """Return (Σ ln λ − Λ) / number of events, nats; `log_factors`: (2 + SOURCE_TERMS,) b, d, ln c'."""
        factors = log_factors.exp()
        return (torch.log(self.rates[self.has_event] @ factors).sum() - self.expected.sum(0) @ factors) / self.has_event.sum()


def fit_sources(network: TimingNetwork, datasets: Sequence[RegionDataset], depth: float) -> tuple[TimingNetwork, dict[str, float]]:
    """Return a network that reads sources.

    Args:
        network: reads none.
        datasets: of regions whose catalogues go on below completeness.
        depth: how far below completeness the sources go that it reads.

    Returns:
        The network, and the scores of the kernels alone on the validation spans before and after, nats per event.

    Raises:
        Problem: the network reads sources already, or there is no source or no event in the training or the validation spans.
    """
    if network.architecture.source_depth:
        raise Problem("this model reads sources already", "name the one that it was made from")
    fitting, checking = (_parts_of(network, datasets, name, depth) for name in ("train", "validation"))
    if not float(fitting.rates[:, 2:].sum()):
        raise Problem("no event below completeness in the catalogues", "give catalogues that go on below it")
    unchanged = torch.cat((torch.zeros(2), torch.full((SOURCE_TERMS,), -math.inf))).double()
    found = _maximise(fitting)
    scores = {"without_sources": float(checking.likelihood(unchanged)), "with_sources": float(checking.likelihood(found))}
    per_event = source_terms_per_event([(dataset.pattern, dataset.train) for dataset in datasets], depth)
    return _reading(network, depth, found, per_event), scores


def _parts_of(network: TimingNetwork, datasets: Sequence[RegionDataset], name: str, depth: float) -> _Parts:
    """Return the parts of the rate in the spans of a name, `train` or `validation`."""
    columns = [_columns(network, dataset, getattr(dataset, name), depth) for dataset in datasets]
    rates, expected, has_event = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*columns, strict=True))
    if not has_event.any():
        raise Problem(f"no event in the {name} spans", "choose other dates or a lower magnitude of completeness")
    return _Parts(rates, expected, has_event)


def _columns(network: TimingNetwork, dataset: RegionDataset, span: Span, depth: float) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    pattern = dataset.pattern.before(span.end)
    part, excitation = intervals_of(pattern, span), network.evaluate(pattern).excitation
    start, days = part.elapsed_days[:, None], part.waits_days[:, None]
    left, gone = np.exp(-(start + days) / TAUS_DAYS), np.exp(-start / TAUS_DAYS)  # (I, 12)
    by_events = excitation[part.rows]
    background = np.full_like(start, network.background_of(dataset.region))
    since = source_rates_since(pattern, depth, part)
    by_sources = source_rates_after_rows(pattern, depth)[part.rows].reshape(len(start), -1, KERNELS)
    rates = by_sources * left[:, None] + since.rates.reshape(by_sources.shape)
    expected = by_sources * (TAUS_DAYS * (gone - left))[:, None] + (since.clocks - since.clocks_at_start).reshape(by_sources.shape)
    events = ((by_events * left).sum(1, keepdims=True), (by_events * TAUS_DAYS * (gone - left)).sum(1, keepdims=True))
    return (
        np.concatenate((background, events[0], rates.reshape(len(start), -1)), 1),
        np.concatenate((background * days, events[1], expected.reshape(len(start), -1)), 1),
        part.has_event,
    )


def _maximise(parts: _Parts) -> torch.Tensor:
    """Return b, d and ln c' of maximum likelihood, (2 + SOURCE_TERMS,)."""
    found = torch.cat((torch.zeros(2), torch.full((SOURCE_TERMS,), FIRST_LOG_PRODUCTIVITY))).double().requires_grad_()
    optimizer = torch.optim.LBFGS([found], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = -parts.likelihood(found)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return found.detach()


@torch.no_grad()
def _reading(network: TimingNetwork, depth: float, found: torch.Tensor, per_event: FloatArray) -> TimingNetwork:
    """Return the network with the sources' weights, its kernels and background rates multiplied by the factors."""
    reading = TimingNetwork(msgspec.structs.replace(network.architecture, source_depth=depth)).double()
    reading.load_state_dict(network.double().state_dict(), strict=False)
    reading.kernels.log_background.add_(found[0])
    reading.kernels.log_productivity.add_(found[1])
    reading.kernels.log_source_productivity.copy_(found[2:].reshape(-1, KERNELS).expand_as(reading.kernels.log_source_productivity))
    reading.kernels.sources_per_event.copy_(torch.from_numpy(per_event))
    return reading.eval()

"""Let a trained network read events below completeness as sources, without training it again.

Its kernels and its memory stay as they are. With the sources' weights c' and a factor e^b of each region's background rate the rate is
linear,

    λ = e^b_region μ_region + Σ_events + Σ_ak c'_ak S_ak        b_region ~ normal(b, `BACKGROUND_SPREAD`)

so the likelihood on the training span is concave in (e^b, c'), and found in seconds. What sources explain was background before; and a
background rate that was learned from final catalogues is not that of a feed. Most catalogues do not go on below completeness, or do not
tell when they first had an event: a network trained on all of them learns its sources from those that do.
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
BACKGROUND_SPREAD = 0.5
"""Of the logarithms of the regions' factors around their common one."""


class _Found(NamedTuple):
    """What is fitted."""

    log_background: torch.Tensor
    """(regions,) b."""
    log_productivity: torch.Tensor
    """(SOURCE_TERMS,) ln c'."""


class _Parts(NamedTuple):
    """What the parts of the rate are at the ends of I intervals, and what each expects within them.

    The columns are | background | events | sources (SOURCE_TERMS) |.
    """

    rates: torch.Tensor
    """(I, 2 + SOURCE_TERMS)"""
    expected: torch.Tensor
    """(I, 2 + SOURCE_TERMS)"""
    has_event: torch.Tensor
    regions: torch.Tensor
    """(I,) the index of each interval's region in the network."""

    def likelihood(self, found: _Found) -> torch.Tensor:
        """Return (Σ ln λ − Λ) / number of events, nats."""
        factors, productivity = found.log_background.exp()[self.regions], found.log_productivity.exp()
        rates, expected = (part[:, 0] * factors + part[:, 1] + part[:, 2:] @ productivity for part in (self.rates, self.expected))
        return (torch.log(rates[self.has_event]).sum() - expected.sum()) / self.has_event.sum()


def fit_sources(network: TimingNetwork, datasets: Sequence[RegionDataset], depth: float) -> tuple[TimingNetwork, dict[str, float]]:
    """Return a network that reads sources.

    Args:
        network: reads none.
        datasets: of regions whose catalogues go on below completeness; those that the network does not know are left out.
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
    regions = len(network.architecture.regions)
    unchanged = _Found(torch.zeros(regions).double(), torch.full((SOURCE_TERMS,), -math.inf).double())
    found = _maximise(fitting, regions)
    scores = {"without_sources": float(checking.likelihood(unchanged)), "with_sources": float(checking.likelihood(found))}
    per_event = source_terms_per_event([(dataset.pattern, dataset.train) for dataset in datasets], depth)
    return _reading(network, depth, found, per_event), scores


def _parts_of(network: TimingNetwork, datasets: Sequence[RegionDataset], name: str, depth: float) -> _Parts:
    """Return the parts of the rate in the spans of a name, `train` or `validation`."""
    columns = [
        _columns(network, dataset, getattr(dataset, name), depth) for dataset in datasets if dataset.region in network.architecture.regions
    ]
    if not any(has_event.any() for _, _, has_event, _ in columns):
        raise Problem(f"no event in the {name} spans", "choose other dates or a lower magnitude of completeness")
    return _Parts(*(torch.from_numpy(np.concatenate(part)) for part in zip(*columns, strict=True)))


def _columns(
    network: TimingNetwork, dataset: RegionDataset, span: Span, depth: float
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_], NDArray[np.int64]]:
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
        np.full(len(start), network.architecture.regions.index(dataset.region)),
    )


def _maximise(parts: _Parts, regions: int) -> _Found:
    """Return what is most likely, with the prior of the regions' factors."""
    common, own = (torch.zeros(size, dtype=torch.float64, requires_grad=True) for size in (1, regions))
    productivity = torch.full((SOURCE_TERMS,), FIRST_LOG_PRODUCTIVITY, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([common, own, productivity], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        prior = own.square().sum() / (2.0 * BACKGROUND_SPREAD**2 * parts.has_event.sum())
        loss = prior - parts.likelihood(_Found(common + own, productivity))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return _Found((common + own).detach(), productivity.detach())


@torch.no_grad()
def _reading(network: TimingNetwork, depth: float, found: _Found, per_event: FloatArray) -> TimingNetwork:
    """Return the network with the sources' weights, its background rates multiplied by the factors."""
    reading = TimingNetwork(msgspec.structs.replace(network.architecture, source_depth=depth)).double()
    reading.load_state_dict(network.double().state_dict(), strict=False)
    reading.kernels.log_background.add_(found.log_background)
    productivity = found.log_productivity.reshape(-1, KERNELS)
    reading.kernels.log_source_productivity.copy_(productivity.expand_as(reading.kernels.log_source_productivity))
    reading.kernels.sources_per_event.copy_(torch.from_numpy(per_event))
    return reading.eval()

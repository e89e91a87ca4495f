"""Training the network of the magnitudes by maximum likelihood on the training spans; the epoch is the best on the validation spans."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import torch

from ingest.problem import Problem
from models.catalog import LARGEST_MAGNITUDE, PointPattern, Span, common_step
from models.magnitude.catalog_features import magnitude_features
from models.magnitude.features import DEFAULT_REACH, PLACELESS
from models.magnitude.network import HIDDEN, MagnitudeNetwork
from models.training import Progress, descend, require_finite

SMALLEST_SPREAD = 1e-6
STATIONARY_START, STATIONARY_STEPS = (0.3, 1.0, 0.0, 0.0), 30
"""ln β/β₀ and μ + 1 from which the stationary law is looked for: detection that ends at Mc."""
STATIONARY_LIMIT = 0.6
"""Farther out tanh is flat, and the network could not learn its way back."""
WELL_ABOVE, FEWEST_WELL_ABOVE = 1.0, 200
RISING_PART = 0.2
"""Of the one-cycle schedule."""


class MagnitudeOptions(msgspec.Struct, frozen=True):
    """How to train the network of the magnitudes."""

    hidden: int = HIDDEN
    epochs: int = 12
    batch: int = 1024
    learning_rate: float = 3e-3
    weight_decay: float = 5e-2
    dropout: float = 0.3
    placeless: float = 0.2
    """The part of the rows that is shown without its place."""
    half_bin: float | None = None
    """Half the step that magnitudes are rounded to; None: as each pattern's training span shows."""
    reach: int = DEFAULT_REACH
    neighbour_reach: int | None = None


@dataclass(frozen=True)
class Examples:
    """The events of one pattern's two spans."""

    train: torch.Tensor
    validation: torch.Tensor
    """(T, INPUTS), (V, INPUTS)"""
    train_excesses: torch.Tensor
    validation_excesses: torch.Tensor
    """(T,), (V,) m − Mc + half a bin."""
    upper: float
    """The largest excess there can be."""


def examples(pattern: PointPattern, train: Span, validation: Span, options: MagnitudeOptions) -> Examples:
    """What is to be learned from one pattern; nothing after the validation span is looked at.

    The validation span may be empty.

    Raises:
        Problem: no events in the training span.
    """
    known = pattern.before(max(train.end, validation.end))
    learned, checked = known.rows(train), known.rows(validation)
    half_bin = common_step(known.magnitudes[learned]) / 2.0 if options.half_bin is None else options.half_bin
    rows, excesses = magnitude_features(known, options.reach, options.neighbour_reach), known.excesses + half_bin
    _at_least_one(learned.stop - learned.start, "training")
    train_rows, validation_rows, train_excesses, validation_excesses = (
        torch.from_numpy(values[part].copy()) for values in (rows, excesses) for part in (learned, checked)
    )
    upper = LARGEST_MAGNITUDE - pattern.magnitude_of_completeness
    return Examples(train_rows, validation_rows, train_excesses, validation_excesses, upper)


def fit_examples(
    parts: Sequence[Examples], options: MagnitudeOptions, seed: int, progress: Progress
) -> tuple[MagnitudeNetwork, dict[str, float]]:
    """Learn from one or more patterns; each event counts once.

    Returns:
        The network (float64, in evaluation mode), and its scores, nats per event: `magnitude`, and `gain` over stationary Gutenberg–Richter
        fitted to each pattern's own training span, with and without the place.

    Raises:
        Problem: no events in any validation span.
    """
    _at_least_one(sum(len(part.validation) for part in parts), "validation")
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    network = _start(parts, options)
    scaled = network.scaled(torch.cat([part.train for part in parts]))  # (T, INPUTS + 1)
    excesses = torch.cat([part.train_excesses for part in parts])  # (T,)
    upper = torch.cat([torch.full_like(part.train_excesses, part.upper) for part in parts])  # (T,)
    fit_stationary(network, excesses, upper)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * math.ceil(len(scaled) / options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=steps, pct_start=RISING_PART)
    best, best_scores = copy.deepcopy(network.state_dict()), _scores(network, parts)
    for epoch in range(1, options.epochs + 1):
        network.train()
        for rows in torch.split(torch.randperm(len(scaled), generator=chance), options.batch):
            shown = _without_places(scaled[rows], options.placeless, chance)
            found = network.of_outputs(network(shown), LARGEST_MAGNITUDE - upper[rows])
            descend(-found.log_prob(excesses[rows]).mean(), network.parameters(), optimizer)
            schedule.step()
        scores = _scores(network, parts)
        require_finite(scores["magnitude"], "magnitude", f"epoch {epoch}")
        progress("magnitude", epoch, options.epochs, scores)
        if scores["magnitude"] > best_scores["magnitude"]:
            best, best_scores = copy.deepcopy(network.state_dict()), scores
    network.load_state_dict(best)
    return network.eval(), best_scores


def _at_least_one(count: int, span: str) -> None:
    if not count:
        raise Problem(f"no events in the {span} span", "choose other dates or a lower magnitude of completeness")


def fit_stationary(network: MagnitudeNetwork, excesses: torch.Tensor, upper: torch.Tensor) -> None:
    """Set what the last layer says of every event alike; from far below Mc no gradient would lead to a detection that ends above it.

    Args:
        excesses, upper: (T,), (T,) of the training spans.
    """
    bias = network.last.bias
    with torch.no_grad():
        bias.copy_(torch.tensor(STATIONARY_START, dtype=torch.float64))
    optimizer = torch.optim.LBFGS([bias], max_iter=STATIONARY_STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = -network.of_outputs(bias.expand(len(excesses), -1), LARGEST_MAGNITUDE - upper).log_prob(excesses).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        bias.clamp_(-STATIONARY_LIMIT, STATIONARY_LIMIT)


def _start(parts: Sequence[Examples], options: MagnitudeOptions) -> MagnitudeNetwork:
    """A network at stationary Gutenberg–Richter, that knows the spread of its inputs over the training spans."""
    network = MagnitudeNetwork(options.hidden)
    network.dropout.p = options.dropout
    features = torch.cat([part.train for part in parts])
    network.input_mean.copy_(features.mean(0))
    network.input_scale.copy_(1.0 / (features.std(0, correction=0) + SMALLEST_SPREAD))
    network.gutenberg_richter_rate.copy_(complete_rate(torch.cat([part.train_excesses for part in parts])))
    return network


def complete_rate(excesses: torch.Tensor) -> torch.Tensor:
    """β₀ (Aki 1965) from the events well above completeness, where they are enough: (T,) -> ().

    From Mc on, events that are missed after large ones make the law look flatter than it is, and the tail heavier.
    """
    well_above = excesses[excesses >= WELL_ABOVE] - WELL_ABOVE
    return 1.0 / (well_above if len(well_above) >= FEWEST_WELL_ABOVE else excesses).mean()


def _without_places(scaled: torch.Tensor, share: float, chance: torch.Generator) -> torch.Tensor:
    """(B, INPUTS + 1) with the places of a random share of the rows taken away."""
    if not share:
        return scaled
    hidden = torch.rand(len(scaled), 1, generator=chance, dtype=scaled.dtype) < share
    shown = torch.where(hidden, 0.0, scaled)
    shown[:, :PLACELESS] = scaled[:, :PLACELESS]
    shown[:, -1] = hidden[:, 0].to(scaled.dtype)
    return shown


@torch.no_grad()
def _scores(network: MagnitudeNetwork, parts: Sequence[Examples]) -> dict[str, float]:
    """On the validation spans, nats per event."""
    network.eval()
    totals, count = torch.zeros(3, dtype=torch.float64), 0
    for part in parts:
        anywhere = part.validation.clone()
        anywhere[:, PLACELESS:] = math.nan
        rate = 1.0 / part.train_excesses.mean()
        stationary = torch.log(rate) - rate * part.validation_excesses - torch.log1p(-torch.exp(-rate * part.upper))
        for column, features in enumerate((part.validation, anywhere)):
            found = network.of_outputs(network(network.scaled(features)), LARGEST_MAGNITUDE - part.upper)
            totals[column] += found.log_prob(part.validation_excesses).sum()
        totals[2] += stationary.sum()
        count += len(stationary)
    placed, placeless, stationary = (totals / count).tolist()
    return {"magnitude": placed, "gain": placed - stationary, "gain_without_place": placeless - stationary}

"""Trains the magnitude network by maximum likelihood on the training spans; the validation spans choose the epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import torch

from ingest.problem import Problem
from models.catalog import LARGEST_MAGNITUDE, PointPattern, Span, common_step
from models.magnitude.architecture import HIDDEN
from models.magnitude.catalog_features import magnitude_features
from models.magnitude.features import DEFAULT_REACH, INPUTS_WITHOUT_PLACE
from models.magnitude.network import MagnitudeNetwork
from models.training import Progress, descend, require_finite

SMALLEST_SPREAD = 1e-6
STATIONARY_START, STATIONARY_STEPS = (0.3, 1.0, 0.0, 0.0), 30
"""The outputs at which the stationary fit begins, and its most steps: μ near 0, where half of the events at completeness are missed."""
STATIONARY_LIMIT = 0.6
"""The stationary outputs are clamped to ± this: farther out tanh is so flat that training could not change them."""
WELL_ABOVE, FEWEST_WELL_ABOVE = 1.0, 200
"""β₀ is estimated from the events with at least this excess, if there are so many of them."""
RISING_PART = 0.2
"""The part of the one-cycle schedule in which the learning rate rises."""


class MagnitudeOptions(msgspec.Struct, frozen=True):
    """How to train the magnitude network."""

    hidden: int = HIDDEN
    epochs: int = 12
    batch: int = 1024
    learning_rate: float = 3e-3
    weight_decay: float = 5e-2
    dropout: float = 0.3
    placeless: float = 0.2
    """The share of the rows whose columns near a place are left out in training."""
    half_bin: float | None = None
    """Half the step that magnitudes are rounded to; None: as estimated from each pattern's training span."""
    reach: int = DEFAULT_REACH
    neighbour_reach: int | None = None


@dataclass(frozen=True)
class MagnitudeExamples:
    """Inputs and excesses of the events in the training and validation spans of one pattern."""

    train: torch.Tensor
    validation: torch.Tensor
    """(T, INPUTS), (V, INPUTS) of `magnitude_features`."""
    train_excesses: torch.Tensor
    validation_excesses: torch.Tensor
    """(T,), (V,) m − Mc + half a rounding bin."""
    upper: float
    """The largest possible excess."""


def magnitude_examples(pattern: PointPattern, train: Span, validation: Span, options: MagnitudeOptions) -> MagnitudeExamples:
    """Compute the inputs and excesses of one pattern's spans; nothing after them is used. The validation span may be empty.

    Raises:
        Problem: no events in the training span.
    """
    known = pattern.before(max(train.end, validation.end))
    train_rows, validation_rows = known.rows(train), known.rows(validation)
    half_bin = common_step(known.magnitudes[train_rows]) / 2.0 if options.half_bin is None else options.half_bin
    features, excesses = magnitude_features(known, options.reach, options.neighbour_reach), known.excesses + half_bin
    _require_events(train_rows.stop - train_rows.start, "training")
    return MagnitudeExamples(
        train=torch.from_numpy(features[train_rows].copy()),
        validation=torch.from_numpy(features[validation_rows].copy()),
        train_excesses=torch.from_numpy(excesses[train_rows].copy()),
        validation_excesses=torch.from_numpy(excesses[validation_rows].copy()),
        upper=LARGEST_MAGNITUDE - pattern.magnitude_of_completeness,
    )


def fit_magnitude(
    parts: Sequence[MagnitudeExamples], options: MagnitudeOptions, seed: int, progress: Progress
) -> tuple[MagnitudeNetwork, dict[str, float]]:
    """Train one network on one or more patterns; every event has the same weight.

    Returns:
        The network (float64, in evaluation mode), and its scores on the validation spans, nats per event: `magnitude`, the mean ln p;
        `gain`, its gain over Gutenberg–Richter's law with the b-value of each pattern's training span; and `gain_without_place`, the
        same where the place is not known.

    Raises:
        Problem: no events in any validation span.
    """
    _require_events(sum(len(part.validation) for part in parts), "validation")
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    network = _initial_network(parts, options)
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
        for rows in torch.split(torch.randperm(len(scaled), generator=rng), options.batch):
            masked = _without_some_places(scaled[rows], options.placeless, rng)
            distribution = network.of_outputs(network(masked), LARGEST_MAGNITUDE - upper[rows])
            descend(-distribution.log_prob(excesses[rows]).mean(), network.parameters(), optimizer)
            schedule.step()
        scores = _scores(network, parts)
        require_finite(scores["magnitude"], "magnitude", f"epoch {epoch}")
        progress("magnitude", epoch, options.epochs, scores)
        if scores["magnitude"] > best_scores["magnitude"]:
            best, best_scores = copy.deepcopy(network.state_dict()), scores
    network.load_state_dict(best)
    return network.eval(), best_scores


def _require_events(count: int, span: str) -> None:
    if not count:
        raise Problem(f"no events in the {span} span", "choose other dates or a lower magnitude of completeness")


def fit_stationary(network: MagnitudeNetwork, excesses: torch.Tensor, upper: torch.Tensor) -> None:
    """Set the bias of the last layer to the best stationary distribution.

    Training that began with μ far below Mc would find no gradient towards a μ above it.

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


def _initial_network(parts: Sequence[MagnitudeExamples], options: MagnitudeOptions) -> MagnitudeNetwork:
    """Return an untrained network with the mean and spread of its inputs, and β₀, of the training spans."""
    network = MagnitudeNetwork(options.hidden)
    network.dropout.p = options.dropout
    features = torch.cat([part.train for part in parts])
    network.input_mean.copy_(features.mean(0))
    network.input_scale.copy_(1.0 / (features.std(0, correction=0) + SMALLEST_SPREAD))
    network.gutenberg_richter_rate.copy_(tail_rate(torch.cat([part.train_excesses for part in parts])))
    return network


def tail_rate(excesses: torch.Tensor) -> torch.Tensor:
    """Return β₀ (Aki 1965) of the events well above completeness, if there are enough of them: (T,) -> ().

    Close to Mc small events are missed after large ones. With them the mean excess would be too large, and β₀ too small.
    """
    well_above = excesses[excesses >= WELL_ABOVE] - WELL_ABOVE
    return 1.0 / (well_above if len(well_above) >= FEWEST_WELL_ABOVE else excesses).mean()


def _without_some_places(scaled: torch.Tensor, share: float, rng: torch.Generator) -> torch.Tensor:
    """Return the scaled inputs, (B, INPUTS + 1), with the columns near a place left out in a random share of the rows."""
    if not share:
        return scaled
    hidden = torch.rand(len(scaled), 1, generator=rng, dtype=scaled.dtype) < share
    masked = torch.where(hidden, 0.0, scaled)
    masked[:, :INPUTS_WITHOUT_PLACE] = scaled[:, :INPUTS_WITHOUT_PLACE]
    masked[:, -1] = hidden[:, 0].to(scaled.dtype)
    return masked


@torch.no_grad()
def _scores(network: MagnitudeNetwork, parts: Sequence[MagnitudeExamples]) -> dict[str, float]:
    """Return the scores on the validation spans, nats per event: see `fit_magnitude`."""
    network.eval()
    totals, count = torch.zeros(3, dtype=torch.float64), 0
    for part in parts:
        anywhere = part.validation.clone()
        anywhere[:, INPUTS_WITHOUT_PLACE:] = math.nan
        rate = 1.0 / part.train_excesses.mean()
        stationary = torch.log(rate) - rate * part.validation_excesses - torch.log1p(-torch.exp(-rate * part.upper))
        for column, features in enumerate((part.validation, anywhere)):
            distribution = network.of_outputs(network(network.scaled(features)), LARGEST_MAGNITUDE - part.upper)
            totals[column] += distribution.log_prob(part.validation_excesses).sum()
        totals[2] += stationary.sum()
        count += len(stationary)
    with_place, without_place, stationary = (totals / count).tolist()
    return {"magnitude": with_place, "gain": with_place - stationary, "gain_without_place": without_place - stationary}

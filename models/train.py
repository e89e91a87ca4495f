"""Training: chunks of sequences, the mean log-likelihood of waits and magnitudes, early stopping on the validation years.

The weights see the training span alone; the validation span chooses the epoch; the test span is scored afterwards, once.
Scalers and the Gutenberg–Richter rate come from the training span and stay in the artefact.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.instant import Instant
from ingest.problem import Problem
from models.dataset import Sequence, Targets, targets
from models.lstm import Architecture, EventLstm

BEGINNING, END = Instant(-(2**60)), Instant(2**60)
Progress = Callable[[int, int, dict[str, float]], None]


class TrainingOptions(msgspec.Struct, frozen=True):
    """How to train."""

    seed: int = 0
    epochs: int = 30
    patience: int = 8
    """Epochs without a better validation score before stopping."""
    batch: int = 32
    chunk: int = 128
    """Rows scored at a time, after `warm_up` rows that only move the memory."""
    warm_up: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 2e-2
    dropout: float = 0.1
    """Of inputs to the head's inner layer and the LSTM, while training."""
    magnitude_weight: float = 1.0
    hidden: int = 32
    head: int = 64
    components: int = 8
    threads: int = 2


@dataclass(frozen=True)
class Chunk:
    """Some rows of a sequence with their targets; those before `scored` only warm the memory up."""

    inputs: torch.Tensor
    """(T, inputs)."""
    centres: torch.Tensor
    """(T,)."""
    elapsed: torch.Tensor
    waits: torch.Tensor
    excesses: torch.Tensor
    """(T,) each, as in `Targets`; 0 where there is no target."""
    observed: torch.Tensor
    scored: torch.Tensor
    """(T,) 1 or 0."""
    completeness: float


def train_lstm(
    sequences: list[Sequence], options: TrainingOptions | None = None, progress: Progress | None = None
) -> tuple[EventLstm, list[dict[str, float]]]:
    """Train one network.

    Args:
        progress: called after every epoch with (epoch from 1, epochs, its scores).

    Returns:
        The network of the best validation epoch (float64, evaluation mode), and every epoch's scores
        (`train`, `validation_time`, `validation_magnitude`: mean log-likelihood in nats per event).

    Raises:
        Problem: no events in the training or validation span.
    """
    chosen = options or TrainingOptions()
    torch.manual_seed(chosen.seed)
    torch.set_num_threads(chosen.threads)
    fitting = _chunks(sequences, lambda one: (BEGINNING, one.validation_from), chosen.chunk, chosen.warm_up)
    checking = _chunks(sequences, lambda one: (one.validation_from, one.test_from), 2048, 512)
    if not fitting or not checking:
        raise Problem("no events in the training or the validation span", "choose earlier --validation-from and --test-from")
    network = EventLstm(Architecture(hidden=chosen.hidden, head=chosen.head, components=chosen.components))
    fit_scalers(network, sequences)
    return _descend(network, fitting, checking, chosen, progress or (lambda epoch, epochs, scores: None))


def fit_scalers(network: EventLstm, sequences: list[Sequence]) -> None:
    """Input means and spreads, and the Gutenberg–Richter rate (1 / mean excess: Aki 1965), of the training span."""
    seen = [(one, targets(one, BEGINNING, one.validation_from)) for one in sequences]
    raw = np.concatenate([one.inputs[part.rows] for one, part in seen])  # (R, inputs)
    excesses = np.concatenate([part.excesses[part.observed] for _, part in seen])
    network.input_mean.copy_(torch.from_numpy(raw.mean(0)))
    network.input_scale.copy_(torch.from_numpy(1.0 / np.maximum(raw.std(0), 1e-3)))
    network.gutenberg_richter_rate.fill_(1.0 / max(float(excesses.mean()), 0.05))


def _descend(
    network: EventLstm, fitting: list[Chunk], checking: list[Chunk], options: TrainingOptions, progress: Progress
) -> tuple[EventLstm, list[dict[str, float]]]:
    order = np.random.default_rng(options.seed)
    decayed = [value for name, value in network.named_parameters() if "weight" in name]
    others = [value for name, value in network.named_parameters() if "weight" not in name]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate)
    steps = options.epochs * -(-len(fitting) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=steps, pct_start=0.15)
    best, best_score, best_epoch, history = copy.deepcopy(network.state_dict()), -np.inf, 0, []
    for epoch in range(1, options.epochs + 1):
        network.train()
        total, events = 0.0, 0.0
        for batch in _batches(fitting, options.batch, order.permutation(len(fitting))):
            time, magnitude, count = log_likelihoods(network, batch, options.dropout)
            optimizer.zero_grad()
            (-(time + options.magnitude_weight * magnitude) / count).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, events = total + float(time.detach()) + float(magnitude.detach()), events + float(count)
        scores = {"train": total / events} | _validate(network, checking, options.batch)
        history.append(scores)
        progress(epoch, options.epochs, scores)
        score = scores["validation_time"] + scores["validation_magnitude"]
        if score > best_score:
            best, best_score, best_epoch = copy.deepcopy(network.state_dict()), score, epoch
        elif epoch - best_epoch >= options.patience:
            break
    network.load_state_dict(best)
    return network.double().eval(), history


def log_likelihoods(network: EventLstm, batch: list[Chunk], dropout: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Summed log-likelihood of waits (with the survival of those cut off) and of magnitudes, and the number of events."""
    raw = _padded([chunk.inputs for chunk in batch])  # (B, T, inputs)
    centres, elapsed, waits = (_padded([getattr(chunk, name) for chunk in batch]) for name in ("centres", "elapsed", "waits"))  # (B, T)
    excesses, observed, scored = (_padded([getattr(chunk, name) for chunk in batch]) for name in ("excesses", "observed", "scored"))
    scaled = network.scaled(raw.float())
    if network.training and dropout:
        scaled = torch.nn.functional.dropout(scaled, dropout)
    hidden, _ = network.memory(scaled)  # (B, T, hidden)
    outputs = network.head(hidden, scaled).double()  # (B, T, outputs)
    completeness = torch.tensor([[chunk.completeness] for chunk in batch], dtype=torch.float64)  # (B, 1)
    wait = network.wait(outputs, centres).after(elapsed)
    time = torch.where(observed > 0, wait.log_prob(waits), wait.log_survival(waits))
    magnitude = network.magnitude(outputs, completeness).log_prob(excesses) * observed
    return (time * scored).sum(), (magnitude * scored).sum(), (observed * scored).sum()


@torch.no_grad()
def _validate(network: EventLstm, checking: list[Chunk], batch: int) -> dict[str, float]:
    network.eval()
    parts = [log_likelihoods(network, part) for part in _batches(checking, batch, np.arange(len(checking)))]
    time, magnitude, count = (float(sum(float(part[column]) for part in parts)) for column in range(3))
    return {"validation_time": time / count, "validation_magnitude": magnitude / count}


def _chunks(sequences: list[Sequence], period: Callable[[Sequence], tuple[Instant, Instant]], length: int, warm_up: int) -> list[Chunk]:
    seen = [(one, targets(one, *period(one))) for one in sequences]
    return [
        _chunk(one, part, first, min(first + length, len(part.rows)), warm_up)
        for one, part in seen
        for first in range(0, len(part.rows), length)
    ]


def _chunk(one: Sequence, part: Targets, first: int, last: int, warm_up: int) -> Chunk:
    begin = max(int(part.rows[first]) - warm_up, 0)
    leading = int(part.rows[first]) - begin
    rows = slice(begin, int(part.rows[last - 1]) + 1)

    def after_warm_up(values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate((np.zeros(leading), values[first:last].astype(np.float64))))

    return Chunk(
        inputs=torch.from_numpy(one.inputs[rows]),
        centres=torch.from_numpy(one.centres[rows]),
        elapsed=after_warm_up(part.elapsed),
        waits=after_warm_up(part.waits),
        excesses=after_warm_up(part.excesses),
        observed=after_warm_up(part.observed),
        scored=after_warm_up(np.ones(len(part.rows))),
        completeness=one.magnitude_of_completeness,
    )


def _batches(chunks: list[Chunk], size: int, order: NDArray[np.int64]) -> Iterator[list[Chunk]]:
    for first in range(0, len(order), size):
        yield [chunks[index] for index in order[first : first + size]]


def _padded(rows: list[torch.Tensor]) -> torch.Tensor:
    """(T_i, …) of several lengths -> (B, T, …), zeros behind: the LSTM runs forward, so they touch nothing before."""
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

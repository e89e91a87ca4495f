"""Stage 4 of the inter-event times: the members' LSTMs, on chunks of rows.

The memory starts from zero some rows before each chunk (the warm-up), which are not scored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from models.numerics import FloatArray
from models.timing.excitation import TAUS_DAYS
from models.timing.formulas import wait_of_outputs
from models.timing.inter_event_time import OFFSET, kernel_clock, kernel_rate
from models.timing.large_events import Followed
from models.timing.model import more_of_sources, raw_memory_inputs, source_events
from models.timing.networks import KernelNetwork, MemoryNetwork
from models.timing.sequence_rows import Intervals, join_intervals
from models.timing.train_kernels import follow_all
from models.timing.training_data import TimingOptions, TimingTrainingData
from models.training import Best, Distributed, Progress, descend, require_finite

WARM_UP_OF_VALIDATION = 2048


def fit_memory(
    kernels: KernelNetwork,
    memory: MemoryNetwork,
    data: TimingTrainingData,
    options: TimingOptions,
    seed: int,
    workers: Distributed,
    progress: Progress,
) -> float:
    """Fit the members' LSTMs (stage 3); return the validation score of their mean mixture, nats per event."""
    followed, background = follow_all(kernels, data)
    hours = data.hours.numpy() if memory.architecture.hours else None
    raw = raw_memory_inputs(data.rows, followed, background, TAUS_DAYS, hours, np.asarray(source_events(kernels, data.source_clocks)))
    workers.fit_scaler(memory.scaler, raw[join_intervals(data.train).rows])
    inputs = memory.scaler(raw).float()
    clocks = [_clocks(part, followed, background, kernels) for part in (*data.train, *data.validation)]
    fitting = [chunk for part, clock in zip(data.train, clocks, strict=False) for chunk in _chunks(part, clock, data, options)]
    whole = msgspec.structs.replace(options, chunk=1 << 30, warm_up=WARM_UP_OF_VALIDATION)
    checking = [
        chunk for part, clock in zip(data.validation, clocks[len(data.train) :], strict=True) for chunk in _chunks(part, clock, data, whole)
    ]
    constant = sum(_constant(part, followed, background, kernels) for part in data.validation)
    events = float(workers.total(torch.tensor(float(sum(part.has_event.sum() for part in data.validation)))))
    memory.float()
    optimizer = torch.optim.AdamW(memory.parameters(), lr=options.memory_rate, weight_decay=options.memory_decay)
    batches = workers.largest(-(-len(fitting) // options.batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.memory_rate, total_steps=options.memory_epochs * batches, pct_start=0.2
    )
    rng, best = np.random.default_rng(seed + 1_000 * workers.rank), Best(memory, memory.architecture.memory_members)
    for epoch in range(1, options.memory_epochs + 1):
        memory.train()
        for batch in _batches(fitting, options.batch, batches, rng):
            likelihoods, count = _chunk_likelihoods(memory, inputs, batch, options.memory_dropout)
            descend(-likelihoods.sum() / (count * workers.count), list(memory.parameters()), optimizer, workers)
            schedule.step()
        memory.eval()
        with torch.no_grad():
            total = sum(_chunk_likelihoods(memory, inputs, [chunk])[0] for chunk in checking) + torch.zeros(
                memory.architecture.memory_members
            )
        scores = (workers.total(total) + workers.total(torch.tensor(constant))) / events
        require_finite(scores, "memory", f"epoch {epoch}")
        best.offer(scores)
        progress("memory", epoch, options.memory_epochs, {"validation": float(best.scores.mean())})
        if epoch - best.since > options.patience:
            break
    best.restore()
    memory.eval()
    with torch.no_grad():
        mixed = sum(_mixed_likelihood(memory, inputs, chunk) for chunk in checking)
    memory.double()
    return float((workers.total(torch.tensor(float(mixed))) + workers.total(torch.tensor(constant))) / events)


class Chunk(NamedTuple):
    """T intervals after consecutive rows; the rows from `begin` to the first of them are the warm-up."""

    begin: int
    """The row where the memory starts."""
    rows: slice
    """The rows before the intervals."""
    log_starts: torch.Tensor
    """(T,) ln X where the interval begins; −inf at the row itself."""
    log_ends: torch.Tensor
    """(T,) ln X where it ends."""
    has_event: torch.Tensor
    """(T,) 1 where an event ends it."""


def _clocks(part: Intervals, followed: Followed, background: FloatArray, kernels: KernelNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ln X where each interval begins and where it ends, (I,) each."""
    start, end = part.elapsed_days, part.elapsed_days + part.waits_days
    state, more = followed.of_rows(part.rows), more_of_sources(kernels, part)
    log_starts = np.where(start > 0.0, _log_clock(state, background[part.rows], start, more.clock_at_start), -np.inf)
    log_ends = _log_clock(state, background[part.rows], end, more.clock)
    return torch.from_numpy(log_starts).float(), torch.from_numpy(log_ends).float()


def _constant(part: Intervals, followed: Followed, background: FloatArray, kernels: KernelNetwork) -> float:
    """Return Σ ln λ − ln X over the events: ln of the wait's density less that of ln X, which no training changes."""
    end, level = part.elapsed_days + part.waits_days, background[part.rows]
    state, more = followed.of_rows(part.rows), more_of_sources(kernels, part)
    rates = kernel_rate(state.rest, level, end, TAUS_DAYS, state.large) + np.asarray(more.rate)
    return float((np.log(rates) - _log_clock(state, level, end, more.clock))[part.has_event].sum())


def _log_clock(state: Followed, background: FloatArray, since: FloatArray, more_clock: torch.Tensor) -> FloatArray:
    """Return ln X, (I,), `since` (I,) days after some rows; `more_clock`: (I,) what sources since then add to it."""
    clock = kernel_clock(state.rest, background, since, TAUS_DAYS, state.large) + np.asarray(more_clock)
    log_clock: FloatArray = np.log(clock + OFFSET)
    return log_clock


def _chunks(
    part: Intervals, clocks: tuple[torch.Tensor, torch.Tensor], data: TimingTrainingData, options: TimingOptions
) -> Iterator[Chunk]:
    """Yield the intervals in pieces of `chunk`, each with a warm-up that does not reach beyond its pattern's beginning."""
    firsts = data.rows.firsts
    beginning = int(firsts[np.searchsorted(firsts, part.rows[0], side="right") - 1])
    has_event = torch.from_numpy(part.has_event.astype(np.float32))
    for low in range(0, len(part.rows), options.chunk):
        piece = slice(low, min(low + options.chunk, len(part.rows)))
        rows = slice(int(part.rows[piece.start]), int(part.rows[piece.stop - 1]) + 1)
        yield Chunk(max(rows.start - options.warm_up, beginning), rows, clocks[0][piece], clocks[1][piece], has_event[piece])


def _batches(chunks: list[Chunk], size: int, count: int, rng: np.random.Generator) -> Iterator[list[Chunk]]:
    """Yield `count` batches of the chunks in random order; once all are used, the same order begins again."""
    shuffled = rng.permutation(len(chunks))
    if -(-len(chunks) // size) < count:
        shuffled = np.resize(shuffled, count * size)
    for low in range(0, len(shuffled), size):
        yield [chunks[index] for index in shuffled[low : low + size]]


def _chunk_likelihoods(
    memory: MemoryNetwork, inputs: torch.Tensor, batch: list[Chunk], dropout: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return Σ ln p(ln X) over the chunks' intervals for each member, (M,), and the number of events in them, at least 1."""
    outputs = _outputs(memory, inputs, batch, dropout)  # (M, T, 3 K + 1)
    parts = [_log_likelihood(outputs[member : member + 1], batch) for member in range(len(outputs))]
    return torch.stack([part.sum() for part in parts]), torch.cat([chunk.has_event for chunk in batch]).sum().clamp_min(1.0)


def _mixed_likelihood(memory: MemoryNetwork, inputs: torch.Tensor, chunk: Chunk) -> float:
    """Return Σ ln p(ln X) of the members' mean mixture."""
    return float(_log_likelihood(_outputs(memory, inputs, [chunk], 0.0), [chunk]).sum())


def _outputs(memory: MemoryNetwork, inputs: torch.Tensor, batch: list[Chunk], dropout: float) -> torch.Tensor:
    """Return the memory's outputs at the rows of the chunks, end to end, (M, T, 3 K + 1)."""
    pieces = [inputs[chunk.begin : chunk.rows.stop] for chunk in batch]
    outputs = memory(nn.utils.rnn.pad_sequence(pieces, batch_first=True), dropout)  # (M, B, T, 3 K + 1)
    return torch.cat([outputs[:, b, chunk.rows.start - chunk.begin : chunk.rows.stop - chunk.begin] for b, chunk in enumerate(batch)], 1)


def _log_likelihood(outputs: torch.Tensor, batch: list[Chunk]) -> torch.Tensor:
    """Return ln density of ln X where an event ends the interval, else ln of the tail, given the tail at its beginning: (T,)."""
    log_starts = torch.cat([chunk.log_starts for chunk in batch])
    log_ends, has_event = torch.cat([chunk.log_ends for chunk in batch]), torch.cat([chunk.has_event for chunk in batch])
    unused = outputs.new_zeros(len(log_ends))  # in place of the excitation, the background and the time constants
    wait = wait_of_outputs(outputs, unused[:, None], unused, unused[:1])
    log_tail, log_density = wait.at_clock(log_ends)
    before = torch.where(torch.isfinite(log_starts), wait.at_clock(log_starts.clamp_min(-30.0))[0], 0.0)
    return torch.where(has_event > 0.0, log_density, log_tail) - before

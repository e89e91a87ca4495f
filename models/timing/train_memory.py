"""Stage 3 of the times: the members' LSTMs, on chunks of rows after rows that only warm the memory up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from models.timing.excitation import conditional_intensity
from models.timing.inter_event_time import log_clock_of
from models.timing.networks import KernelNetwork, MemoryNetwork, memory_inputs, wait_of
from models.timing.sequence_rows import Intervals, joined
from models.timing.train_kernels import excitations
from models.timing.training_data import TimingOptions, TimingTrainingData
from models.training import Best, Distributed, Progress, descend, require_finite

WARM_UP_OF_VALIDATION = 2048


def fit_memory(
    kernels: KernelNetwork,
    memory: MemoryNetwork,
    study: TimingTrainingData,
    options: TimingOptions,
    seed: int,
    workers: Distributed,
    progress: Progress,
) -> float:
    """Stage 3: the score of the members' mean mixture."""
    after, background = excitations(kernels, study)
    raw = memory_inputs(study.rows, after, background, kernels.taus, study.hours if memory.architecture.hours else None)
    workers.fit_scaler(memory.scaler, raw[joined(study.train).rows])
    inputs = memory.scaler(raw).float()
    clocks = [_clocks(part, after, background, kernels.taus) for part in (*study.train, *study.validation)]
    fitting = [chunk for part, clock in zip(study.train, clocks, strict=False) for chunk in _chunks(part, clock, study, options)]
    whole = msgspec.structs.replace(options, chunk=1 << 30, warm_up=WARM_UP_OF_VALIDATION)
    checking = [
        chunk
        for part, clock in zip(study.validation, clocks[len(study.train) :], strict=True)
        for chunk in _chunks(part, clock, study, whole)
    ]
    constant = sum(_constant(part, after, background, kernels.taus) for part in study.validation)
    events = float(workers.total(torch.tensor(float(sum(part.comes.sum() for part in study.validation)))))
    memory.float()
    optimizer = torch.optim.AdamW(memory.parameters(), lr=options.memory_rate, weight_decay=options.memory_decay)
    batches = workers.largest(-(-len(fitting) // options.batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.memory_rate, total_steps=options.memory_epochs * batches, pct_start=0.2
    )
    order, best = np.random.default_rng(seed + 1_000 * workers.rank), Best(memory, memory.architecture.memory_members)
    for epoch in range(1, options.memory_epochs + 1):
        memory.train()
        for batch in _batches(fitting, options.batch, batches, order):
            likelihoods, count = _chunk_likelihoods(memory, inputs, batch, options.memory_dropout)
            descend(-likelihoods.sum() / (count * workers.count), list(memory.parameters()), optimizer, workers)
            schedule.step()
        memory.eval()
        with torch.no_grad():
            total = sum(_chunk_likelihoods(memory, inputs, [chunk])[0] for chunk in checking) + torch.zeros(
                memory.architecture.memory_members
            )
        reached = (workers.total(total) + workers.total(torch.tensor(constant))) / events
        require_finite(reached, "memory", f"epoch {epoch}")
        best.offer(reached)
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
    """Some waits after consecutive rows; rows before `rows[0]` only warm the memory up."""

    begin: int
    """The row where the memory starts."""
    rows: slice
    log_starts: torch.Tensor
    """(T,) ln of the clock where the wait begins to count; −inf at the row itself."""
    log_ends: torch.Tensor
    comes: torch.Tensor


def _clocks(part: Intervals, after: torch.Tensor, background: torch.Tensor, taus: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(I,) ln of the clock where each wait begins to count and where it ends."""
    start, end = torch.from_numpy(part.elapsed_days), torch.from_numpy(part.elapsed_days + part.waits_days)
    rows, level = after[part.rows], background[part.rows]
    log_starts = torch.where(start > 0.0, log_clock_of(rows, level, start, taus), -torch.inf)
    return log_starts.float(), log_clock_of(rows, level, end, taus).float()


def _constant(part: Intervals, after: torch.Tensor, background: torch.Tensor, taus: torch.Tensor) -> float:
    """What the density of the wait has beyond that of ln X: Σ ln λ − ln X over the events."""
    end = torch.from_numpy(part.elapsed_days + part.waits_days)
    rows, level = after[part.rows], background[part.rows]
    terms = torch.log(conditional_intensity(rows, level, end, taus)) - log_clock_of(rows, level, end, taus)
    return float(terms[torch.from_numpy(part.comes)].sum())


def _chunks(
    part: Intervals, clocks: tuple[torch.Tensor, torch.Tensor], study: TimingTrainingData, options: TimingOptions
) -> Iterator[Chunk]:
    firsts = study.rows.firsts
    beginning = int(firsts[np.searchsorted(firsts, part.rows[0], side="right") - 1])
    comes = torch.from_numpy(part.comes.astype(np.float32))
    for low in range(0, len(part.rows), options.chunk):
        piece = slice(low, min(low + options.chunk, len(part.rows)))
        rows = slice(int(part.rows[piece.start]), int(part.rows[piece.stop - 1]) + 1)
        yield Chunk(max(rows.start - options.warm_up, beginning), rows, clocks[0][piece], clocks[1][piece], comes[piece])


def _batches(chunks: list[Chunk], size: int, count: int, order: np.random.Generator) -> Iterator[list[Chunk]]:
    """`count` batches of the chunks in random order, beginning again where they end."""
    shuffled = order.permutation(len(chunks))
    if -(-len(chunks) // size) < count:
        shuffled = np.resize(shuffled, count * size)
    for low in range(0, len(shuffled), size):
        yield [chunks[index] for index in shuffled[low : low + size]]


def _chunk_likelihoods(
    memory: MemoryNetwork, inputs: torch.Tensor, batch: list[Chunk], dropout: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """(M,) Σ ln p(ln X) of the chunks' waits by member, and how many events they hold."""
    outputs = _outputs(memory, inputs, batch, dropout)  # (M, T, 3 K + 1)
    parts = [_log_likelihood(outputs[member : member + 1], batch) for member in range(len(outputs))]
    return torch.stack([part.sum() for part in parts]), torch.cat([chunk.comes for chunk in batch]).sum().clamp_min(1.0)


def _mixed_likelihood(memory: MemoryNetwork, inputs: torch.Tensor, chunk: Chunk) -> float:
    return float(_log_likelihood(_outputs(memory, inputs, [chunk], 0.0), [chunk]).sum())


def _outputs(memory: MemoryNetwork, inputs: torch.Tensor, batch: list[Chunk], dropout: float) -> torch.Tensor:
    """(M, T, 3 K + 1) at the rows of the chunks, end to end."""
    pieces = [inputs[chunk.begin : chunk.rows.stop] for chunk in batch]
    outputs = memory(nn.utils.rnn.pad_sequence(pieces, batch_first=True), dropout)  # (M, B, T, 3 K + 1)
    return torch.cat([outputs[:, b, chunk.rows.start - chunk.begin : chunk.rows.stop - chunk.begin] for b, chunk in enumerate(batch)], 1)


def _log_likelihood(outputs: torch.Tensor, batch: list[Chunk]) -> torch.Tensor:
    """(T,) ln density of ln X where an event came, ln of its tail where none did."""
    log_starts = torch.cat([chunk.log_starts for chunk in batch])
    log_ends, comes = torch.cat([chunk.log_ends for chunk in batch]), torch.cat([chunk.comes for chunk in batch])
    nothing = outputs.new_zeros(len(log_ends))
    wait = wait_of(outputs, nothing[:, None], nothing, nothing[:1])
    log_tail, log_density = wait.of_clock(log_ends)
    before = torch.where(torch.isfinite(log_starts), wait.of_clock(log_starts.clamp_min(-30.0))[0], 0.0)
    return torch.where(comes > 0.0, log_density, log_tail) - before

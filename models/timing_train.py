"""Training the network of the times in three stages, each by maximum likelihood on the training span.

1. *plain*: μ and c_ak, what magnitude alone says of an event's kernel; every step sees the whole span, with its exact gradient.
2. *kernels*: the members' networks, from the plain kernels on; the epoch of each is the best on the validation span.
3. *memory*: the members' LSTMs, on chunks of rows after rows that only warm the memory up; likewise.

The validation span chooses epochs and sizes, the test span nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from ingest.problem import Problem
from models import hawkes
from models.curriculum import Lesson
from models.rows import Intervals, Rows, intervals_of, joined, rows_of
from models.space_time import TimingNetwork
from models.stages import Stages
from models.timing import Architecture, KernelNetwork, MemoryNetwork, local_hours, memory_inputs, wait_of
from models.wait import log_clock_of
from models.workers import Workers

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with (stage, step from 1, steps, scores)."""
EVERY_STEPS = 3
BACKGROUND_SHARE = 0.3
"""Where the fit of μ begins: so much of a region's mean rate."""
WARM_UP_OF_VALIDATION = 2048


class TimingOptions(msgspec.Struct, frozen=True):
    """How to train the network of the times."""

    plain_steps: int = 80
    kernel_steps: int = 100
    kernel_rate: float = 1e-2
    kernel_decay: float = 0.1
    kernel_dropout: tuple[float, float] = (0.3, 0.3)
    memory_epochs: int = 30
    memory_rate: float = 2e-3
    memory_decay: float = 3e-2
    memory_dropout: float = 0.2
    chunk: int = 256
    warm_up: int = 128
    batch: int = 8
    patience: int = 6


@dataclass(frozen=True)
class Study:
    """The lessons laid end to end, float64 tensors."""

    rows: Rows
    excesses: torch.Tensor
    comes: torch.Tensor
    surroundings: torch.Tensor
    decays: torch.Tensor
    hours: torch.Tensor
    regions: torch.Tensor
    """(R,) the number of each row's region."""
    train: list[Intervals]
    validation: list[Intervals]


def study_of(lessons: Sequence[Lesson], architecture: Architecture) -> Study:
    """Lay the lessons end to end.

    Raises:
        Problem: no events in the training or the validation span.
    """
    rows = rows_of([lesson.pattern for lesson in lessons], architecture.reach)
    pairs = list(zip(lessons, rows.firsts.tolist(), strict=True))
    train = [intervals_of(lesson.pattern, lesson.train, first) for lesson, first in pairs]
    validation = [intervals_of(lesson.pattern, lesson.validation, first) for lesson, first in pairs]
    for name, parts in (("training", train), ("validation", validation)):
        if not sum(int(part.comes.sum()) for part in parts):
            raise Problem(f"no events in the {name} span", "choose other dates or a lower magnitude of completeness")
    hours = [np.concatenate(([0.0], local_hours(lesson.pattern))) for lesson in lessons]
    regions = [np.full(len(lesson.pattern) + 1, architecture.regions.index(lesson.region)) for lesson in lessons]
    columns = (rows.excesses, rows.comes, rows.neighbourhoods, hawkes.decays_of(rows.waits), np.concatenate(hours), np.concatenate(regions))
    excesses, comes, surroundings, decays, hour, region = map(torch.from_numpy, columns)
    return Study(rows, excesses, comes, surroundings, decays, hour, region, train, validation)


def train_timing(
    lessons: Sequence[Lesson], architecture: Architecture, options: TimingOptions, seed: int, progress: Progress, stages: Stages
) -> tuple[TimingNetwork, dict[str, float]]:
    """Train kernels and memory.

    Returns:
        The network (float64, in evaluation mode), and the validation scores of the stages, nats per event.

    Raises:
        Problem: no events in the training or the validation span.
    """
    workers = Workers()
    study = study_of(workers.share(lessons), architecture)
    torch.manual_seed(seed)
    network = TimingNetwork(architecture).double()
    torch.manual_seed(seed + 1_000 * workers.rank)  # the same start for all workers, dropout of their own

    def kernels() -> dict[str, float]:
        plain = fit_plain(network.kernels, study, options, workers, progress)
        return {"plain": plain, "kernels": fit_kernels(network.kernels, study, options, workers, progress)}

    def memory() -> dict[str, float]:
        return {"time": fit_memory(network.kernels, network.memory, study, options, seed, workers, progress)}

    scores = stages.run("kernels", [network.kernels], kernels) | stages.run("memory", [network.memory], memory)
    return network.double().eval(), scores


def fit_plain(kernels: KernelNetwork, study: Study, options: TimingOptions, workers: Workers, progress: Progress) -> float:
    """Stage 1; every member starts from the same."""
    train = joined(study.train)
    stop = int(train.rows.max()) + 1
    number = study.regions[train.rows].numpy()
    days, events = (
        np.bincount(number, part, kernels.log_background.shape[1]) for part in (train.waits_days, train.comes.astype(np.float64))
    )
    totals = workers.total(torch.from_numpy(np.stack((days, events))))
    with torch.no_grad():
        kernels.log_background.copy_(torch.log(BACKGROUND_SHARE * (totals[1] + 0.1) / (totals[0] + 1.0)))
    one, background = (
        kernels.log_productivity[:1].detach().clone().requires_grad_(),
        kernels.log_background[:1].detach().clone().requires_grad_(),
    )
    powers = torch.exp(study.excesses[:, None] * kernels.powers) * study.comes[:, None]
    optimizer = torch.optim.LBFGS([one, background], max_iter=options.plain_steps, history_size=20, line_search_fn="strong_wolfe")
    seen = 0

    def closure() -> torch.Tensor:
        nonlocal seen
        (score,) = _likelihoods(powers[:stop] @ one.exp(), background.exp(), study, train, workers)
        optimizer.zero_grad()
        (-score).backward()
        workers.add_gradients((one, background))
        seen += 1
        progress("plain", min(seen, options.plain_steps), options.plain_steps, {"train": float(workers.total(score.detach().clone()))})
        return workers.total(-score.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        kernels.log_productivity.copy_(one.expand_as(kernels.log_productivity))
        kernels.log_background.copy_(background.expand_as(kernels.log_background))
        return float(workers.total(_likelihoods(powers @ one.exp(), background.exp(), study, joined(study.validation), workers))[0])


def fit_kernels(kernels: KernelNetwork, study: Study, options: TimingOptions, workers: Workers, progress: Progress) -> float:
    """Stage 2: the score of the members' mean."""
    train, validation = joined(study.train), joined(study.validation)
    workers.fit_scaler(kernels.scaler, study.surroundings[train.rows[study.comes[train.rows].numpy() > 0]])
    scaled = kernels.scaler(study.surroundings).float()
    stop = int(train.rows.max()) + 1
    networks = nn.ModuleList([kernels.first, kernels.second, kernels.last]).float()
    simple = [kernels.log_productivity, kernels.log_background]
    groups = [{"params": list(networks.parameters()), "weight_decay": options.kernel_decay}, {"params": simple, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.kernel_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.kernel_rate, total_steps=options.kernel_steps, pct_start=0.25)
    best = Best(kernels, kernels.members)
    for step in range(1, options.kernel_steps + 1):
        scores = _likelihoods(
            _weights(kernels, study, scaled, stop, options.kernel_dropout), kernels.log_background.exp(), study, train, workers
        )
        _descend(-scores.sum(), [*networks.parameters(), *simple], optimizer, workers)
        schedule.step()
        if step % EVERY_STEPS == 0:
            with torch.no_grad():
                found = _likelihoods(_weights(kernels, study, scaled), kernels.log_background.exp(), study, validation, workers)
            best.offer(workers.total(found))
            progress(
                "kernels", step, options.kernel_steps, {"train": float(scores.mean().detach()), "validation": float(best.scores.mean())}
            )
            if step - EVERY_STEPS * best.since > EVERY_STEPS * 12:
                break
    best.restore()
    kernels.double()
    with torch.no_grad():
        mean = _weights(kernels, study, kernels.scaler(study.surroundings)).mean(0, keepdim=True)
        return float(workers.total(_likelihoods(mean, kernels.background[None], study, validation, workers))[0])


def fit_memory(
    kernels: KernelNetwork, memory: MemoryNetwork, study: Study, options: TimingOptions, seed: int, workers: Workers, progress: Progress
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
            _descend(-likelihoods.sum() / (count * workers.count), list(memory.parameters()), optimizer, workers)
            schedule.step()
        memory.eval()
        with torch.no_grad():
            total = sum(_chunk_likelihoods(memory, inputs, [chunk])[0] for chunk in checking) + torch.zeros(
                memory.architecture.memory_members
            )
        best.offer((workers.total(total) + workers.total(torch.tensor(constant))) / events)
        progress("memory", epoch, options.memory_epochs, {"validation": float(best.scores.mean())})
        if epoch - best.since > options.patience:
            break
    best.restore()
    memory.eval()
    with torch.no_grad():
        mixed = sum(_mixed_likelihood(memory, inputs, chunk) for chunk in checking)
    memory.double()
    return float((workers.total(torch.tensor(float(mixed))) + workers.total(torch.tensor(constant))) / events)


def excitations(kernels: KernelNetwork, study: Study) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, 12) the excitation after each row, and (R,) the background there."""
    with torch.no_grad():
        weights = _weights(kernels, study, kernels.scaler(study.surroundings)).mean(0, keepdim=True)
        return hawkes.Excitation.apply(weights / kernels.taus, study.decays)[0], kernels.background[study.regions]


class Best:
    """Each member's best parameters so far: every parameter's first axis is the member, or belongs to a list of members."""

    def __init__(self, network: nn.Module, members: int) -> None:
        self._network = network
        self._kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.scores = torch.full((members,), -torch.inf, dtype=torch.float64)
        self._offers, self.since = 0, 0
        """`since`: the number of the last offer that any member took."""

    def offer(self, scores: torch.Tensor) -> None:
        """Keep the members that have become better."""
        self._offers += 1
        for member in torch.nonzero(scores > self.scores).flatten().tolist():
            self.since = self._offers
            self.scores[member] = scores[member]
            for name, value in self._network.state_dict().items():
                if name.startswith("layers."):
                    if name.split(".")[1] == str(member):
                        self._kept[name].copy_(value)
                elif value.dim() and value.shape[0] == len(self.scores) and not name.startswith("scaler"):
                    self._kept[name][member] = value[member]

    def restore(self) -> None:
        """Give every member its best parameters."""
        self._network.load_state_dict(self._kept)


class Chunk(NamedTuple):
    """Some waits after consecutive rows; rows before `rows[0]` only warm the memory up."""

    begin: int
    """The row where the memory starts."""
    rows: slice
    log_starts: torch.Tensor
    """(T,) ln of the clock where the wait begins to count; −inf at the row itself."""
    log_ends: torch.Tensor
    comes: torch.Tensor


def _weights(
    kernels: KernelNetwork, study: Study, scaled: torch.Tensor, stop: int | None = None, dropout: tuple[float, float] = (0.0, 0.0)
) -> torch.Tensor:
    """(M, R, 12) every member's weights; nothing comes from a first row."""
    corrections = kernels.corrections(scaled[:stop], dropout).double()
    weights: torch.Tensor = (
        kernels.plain(study.excesses[:stop].to(kernels.log_productivity.dtype)).double() * corrections * study.comes[:stop, None]
    )
    return weights


def _likelihoods(weights: torch.Tensor, background: torch.Tensor, study: Study, part: Intervals, workers: Workers) -> torch.Tensor:
    """(M,) nats per event: (Σ ln λ − Λ) / events over the waits, events of all workers.

    Args:
        weights: (M, R, 12).
        background: (M, regions).
    """
    taus = torch.from_numpy(hawkes.TAUS_DAYS)
    after = hawkes.Excitation.apply(weights / taus, study.decays[: weights.shape[1]])[:, part.rows]
    background = background.double()[:, study.regions[part.rows]]  # (M, I)
    start, end = torch.from_numpy(part.elapsed_days), torch.from_numpy(part.elapsed_days + part.waits_days)
    left, gone = torch.exp(-end[:, None] / taus), torch.exp(-start[:, None] / taus)  # (I, 12)
    comes = torch.from_numpy(part.comes.astype(np.float64))
    rates = background + (after * left).sum(-1)  # (M, I)
    expected = background * (end - start) + (after * (taus * (gone - left))).sum(-1)
    count = workers.total(comes.sum())
    total: torch.Tensor = ((torch.log(rates) * comes).sum(1) - expected.sum(1)) / count
    return total


def _descend(
    loss: torch.Tensor, parameters: list[nn.Parameter] | list[torch.Tensor], optimizer: torch.optim.Optimizer, workers: Workers
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    workers.add_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


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
    terms = torch.log(hawkes.rate(rows, level, end, taus)) - log_clock_of(rows, level, end, taus)
    return float(terms[torch.from_numpy(part.comes)].sum())


def _chunks(part: Intervals, clocks: tuple[torch.Tensor, torch.Tensor], study: Study, options: TimingOptions) -> Iterator[Chunk]:
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

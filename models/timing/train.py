"""Training of the inter-event times in four stages, each by maximum likelihood on the training span.

1. *plain*: μ and c_ak, the kernel weights by magnitude alone; every step uses the whole span and its exact gradient.
2. *kernels*: the members' networks, starting from the plain kernels; each member keeps its best step on the validation span.
3. *large*: what large events bring (`models.timing.train_large`), if the architecture has it.
4. *memory*: the members' LSTMs, on chunks of rows; each member keeps its best epoch on the validation span.

The validation span chooses steps, epochs and sizes. The test span is never used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.catalog import RegionDataset
from models.timing.architecture import Architecture
from models.timing.model import TimingNetwork
from models.timing.sources import source_terms_per_event
from models.timing.train_kernels import fit_kernels, fit_plain
from models.timing.train_large import fit_large
from models.timing.train_memory import fit_memory
from models.timing.training_data import TimingOptions, timing_training_data
from models.training import Checkpoints, Distributed, Progress


def train_timing(
    datasets: Sequence[RegionDataset],
    architecture: Architecture,
    options: TimingOptions,
    seed: int,
    progress: Progress,
    stages: Checkpoints,
) -> tuple[TimingNetwork, dict[str, float]]:
    """Train kernels and memory.

    Args:
        stages: keeps the stages that are done, so that an interrupted training goes on after them.

    Returns:
        The network (float64, in evaluation mode), and the validation scores of the stages, nats per event.

    Raises:
        Problem: no events in the training or the validation span.
    """
    workers = Distributed()
    data = timing_training_data(workers.share(datasets), architecture)
    torch.manual_seed(seed)
    network = TimingNetwork(architecture).double()
    if architecture.source_depth:
        parts = [(dataset.pattern, dataset.train) for dataset in datasets]
        network.kernels.sources_per_event.copy_(torch.from_numpy(source_terms_per_event(parts, architecture.source_depth)))
    torch.manual_seed(seed + 1_000 * workers.rank)  # all workers start from the same weights, each draws its own dropout

    def kernels() -> dict[str, float]:
        plain = fit_plain(network.kernels, data, options, workers, progress)
        return {"plain": plain, "kernels": fit_kernels(network.kernels, data, options, workers, progress)}

    def large() -> dict[str, float]:
        return {"large": fit_large(network.kernels, data, workers, progress)} if architecture.large_events else {}

    def memory() -> dict[str, float]:
        return {"time": fit_memory(network.kernels, network.memory, data, options, seed, workers, progress)}

    scores = stages.run("kernels", [network.kernels], kernels) | stages.run("large", [network.kernels], large)
    scores |= stages.run("memory", [network.memory], memory)
    return network.double().eval(), scores

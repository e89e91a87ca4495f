"""Training the network of the times in three stages, each by maximum likelihood on the training span.

1. *plain*: μ and c_ak, what magnitude alone says of an event's kernel; every step sees the whole span, with its exact gradient.
2. *kernels*: the members' networks, from the plain kernels on; the epoch of each is the best on the validation span.
3. *memory*: the members' LSTMs, on chunks of rows after rows that only warm the memory up; likewise.

The validation span chooses epochs and sizes, the test span nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.catalog import RegionDataset
from models.timing.model import TimingNetwork
from models.timing.networks import Architecture
from models.timing.train_kernels import fit_kernels, fit_plain
from models.timing.train_memory import fit_memory
from models.timing.training_data import TimingOptions, timing_training_data
from models.training import Checkpoints, Distributed, Progress


def train_timing(
    lessons: Sequence[RegionDataset], architecture: Architecture, options: TimingOptions, seed: int, progress: Progress, stages: Checkpoints
) -> tuple[TimingNetwork, dict[str, float]]:
    """Train kernels and memory.

    Returns:
        The network (float64, in evaluation mode), and the validation scores of the stages, nats per event.

    Raises:
        Problem: no events in the training or the validation span.
    """
    workers = Distributed()
    study = timing_training_data(workers.share(lessons), architecture)
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

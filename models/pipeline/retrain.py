"""Retraining: train each kind of model again, and compare it with the one in force on time that neither has seen.

    catalogue  ├──────────── training ────────────┼─ validation ─┼──── recent ────┤ now
                                                   chooses         decides

A model is promoted only if its gain in log-likelihood per event over the recent span is above 0 with its whole 95 % interval, by a paired
block bootstrap (`models.scoring.bootstrap_interval`). If the incumbent was trained on a part of the recent span, only the time after that
part counts. If too few events remain of it, nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from models.artifact import read_cnn, read_forecaster, read_gan
from models.catalog import FEWEST_EVENTS, RegionDataset, Span, SplitDates, datasets_by_region, earthquakes, read_events
from models.cnn import MapOptions
from models.gan import GanOptions
from models.pipeline.decision import Decision, decide, keep_for_too_few_events, keep_incumbent
from models.pipeline.forecaster_gains import count_compared, forecaster_gains, map_gains, unseen_span
from models.pipeline.generator_gains import compared_sequences, sequence_gains
from models.pipeline.publish_cnn_gan import publish_cnn, publish_gan
from models.pipeline.publish_forecaster import publish_lstm
from models.pipeline.train_forecaster import ForecasterOptions
from models.registry import Registry
from models.training import Progress


class Plan(NamedTuple):
    """What is trained, and on which catalogue."""

    catalogues: tuple[Path, ...]
    recent_days: float
    validation_days: float
    kinds: tuple[str, ...]
    """Of `lstm`, `cnn` and `gan`."""
    seed: int
    table: RegionTable
    models: Path | None
    """Folder of the registry; None: the default."""
    lowest_magnitude: float | None
    """From which the catalogue was downloaded; None: the smallest in it."""
    forecaster: ForecasterOptions = ForecasterOptions(reach=128, kernel_members=1, memory_members=2, place_reach=512)
    maps: MapOptions = MapOptions()
    gan: GanOptions = GanOptions()


def retrain_models(plan: Plan, in_force: Mapping[str, str], folder: Path, progress: Progress) -> Iterator[Decision]:
    """Train each kind and compare it with the one in force, the forecaster first: the CNN is trained on top of whichever will be in force.

    If a kind cannot be trained or compared, its incumbent stays, and the other kinds follow.

    Args:
        plan: what is trained, and on which catalogue.
        in_force: names by kind; for a kind that is missing, the built-in model.
        folder: where models are written before they are copied into the registry.
        progress: called after each step or epoch.

    Yields:
        The decision on each kind of the plan.

    Raises:
        Problem: the catalogue is empty or too small.
    """
    torch.set_num_threads(plan.forecaster.threads)
    retraining = _Retraining(plan, Registry(plan.models), *recent_datasets(plan), folder, progress)
    incumbents = retraining.registry.models_in_use(in_force)
    if "lstm" in plan.kinds:
        decision = _attempt("lstm", incumbents.get("lstm"), retraining.forecaster)
        yield decision
        if decision.promoted:
            incumbents = {kind: name for kind, name in incumbents.items() if kind != "cnn"} | {"lstm": decision.challenger}
    if "cnn" in plan.kinds:
        yield _attempt("cnn", incumbents.get("cnn"), lambda incumbent: retraining.cnn(incumbents["lstm"], incumbent))
    if "gan" in plan.kinds:
        yield _attempt("gan", incumbents.get("gan"), retraining.gan)


def _attempt(kind: str, incumbent: str | None, train_and_decide: Callable[[str | None], Decision]) -> Decision:
    try:
        return train_and_decide(incumbent)
    except Problem as problem:
        return keep_incumbent(kind, incumbent, problem)


def recent_datasets(plan: Plan) -> tuple[list[RegionDataset], Span]:
    """Return the catalogue by regions, divided from its end backwards, and the recent span.

    Raises:
        Problem: the catalogue is empty, too short, or no region has enough events.
    """
    events = earthquakes(read_events(plan.catalogues))
    if not events:
        raise Problem("no earthquakes in the catalogue", "give one whose events are of the type earthquake, with magnitudes")
    first, last = min(event.time for event in events), max(event.time for event in events)
    end = Instant(int(last) + 1)
    recent = Span(end.plus(days=-plan.recent_days), end)
    validation_start = recent.start.plus(days=-plan.validation_days)
    if first >= validation_start:
        days = (last - first) / MILLISECONDS_PER_DAY
        raise Problem(
            f"the catalogue covers {days:.0f} days, but validation and comparison need more than "
            f"{plan.recent_days + plan.validation_days:.0f}",
            "give an earlier --from, or fewer --recent-days and --validation-days",
        )
    dates = SplitDates(None, None, validation_start, recent.start, end)
    datasets = datasets_by_region("newest", events, dates, plan.table.region_of, plan.lowest_magnitude)
    if not datasets:
        raise Problem(f"no region has {FEWEST_EVENTS} events in the catalogue", "give an earlier --from or a lower --min-magnitude")
    return datasets, recent


class _Retraining(NamedTuple):
    """What the models are trained on, and where they are written."""

    plan: Plan
    registry: Registry
    datasets: list[RegionDataset]
    recent: Span
    folder: Path
    progress: Progress

    def forecaster(self, incumbent: str | None) -> Decision:
        """Train a forecaster and compare it with the incumbent."""
        assert incumbent is not None  # one comes with the program
        old, old_card = read_forecaster(self.registry.find(incumbent))
        unseen = unseen_span(self.recent, old_card.data)
        if (undecided := keep_for_too_few_events("lstm", incumbent, count_compared(self.datasets, unseen))) is not None:
            return undecided
        options = msgspec.structs.replace(self.plan.forecaster, seed=self.plan.seed)
        card = publish_lstm(self.datasets, self.folder / "lstm", options, self.progress)
        new, _ = read_forecaster(self.registry.add(self.folder / "lstm"))
        gains = forecaster_gains(new, old, self.datasets, unseen)
        return decide("lstm", card.name, incumbent, gains)

    def cnn(self, base: str, incumbent: str | None) -> Decision:
        """Train a CNN on top of the forecaster of the name `base`, and compare it with the incumbent on top of it, or with none."""
        network, base_card = read_forecaster(self.registry.find(base))
        old, unseen = None, unseen_span(self.recent, base_card.data)
        if incumbent is not None:
            old, old_card = read_cnn(self.registry.find(incumbent))
            unseen = unseen_span(unseen, old_card.data)
        if (undecided := keep_for_too_few_events("cnn", incumbent or "none", count_compared(self.datasets, unseen))) is not None:
            return undecided
        card = publish_cnn(self.datasets, self.folder / "cnn", (network, base), self.plan.maps, self.plan.seed, self.progress)
        new, _ = read_cnn(self.registry.add(self.folder / "cnn"))
        return decide("cnn", card.name, incumbent or "none", map_gains(network, new, old, self.datasets, unseen))

    def gan(self, incumbent: str | None) -> Decision:
        """Train a generator of sequences and compare it with the incumbent."""
        if incumbent is None:
            raise Problem("no gan is in force to compare a new one with", "train one with `quakecast train gan` and promote it by its name")
        old, old_card = read_gan(self.registry.find(incumbent))
        unseen = unseen_span(self.recent, old_card.data)
        sequences = compared_sequences(self.datasets, unseen, min(self.plan.gan.days, old.architecture.days))
        if (undecided := keep_for_too_few_events("gan", incumbent, len(sequences))) is not None:
            return undecided
        card = publish_gan(self.datasets, self.folder / "gan", self.plan.gan, self.plan.seed, self.progress)
        new, _ = read_gan(self.registry.add(self.folder / "gan"))
        gains = sequence_gains(new, old, self.datasets, unseen)
        return decide("gan", card.name, incumbent, gains)

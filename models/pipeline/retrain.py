"""Retraining: is the new model better than the one in force, on time that neither has seen?

    catalogue  ├──────────── training ────────────┼─ validation ─┼──── recent ────┤ now
                                                   chooses         decides

A model is promoted only if its log-likelihood per event in the recent span is larger beyond the 95 % interval of a paired block bootstrap
(`models.scoring.scores.interval`). If the incumbent has learned from part of the recent span, only what came after that counts.
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
from models.catalog import FEWEST_EVENTS, RegionDataset, Span, SplitDates, by_region, earthquakes, read_events
from models.cnn import MapOptions
from models.gan import GanOptions
from models.pipeline.decision import Decision, decide, undecided
from models.pipeline.forecaster_gains import forecaster_gains, map_gains, unseen
from models.pipeline.generator_gains import sequence_gains
from models.pipeline.publish_cnn_gan import publish_cnn, publish_gan
from models.pipeline.publish_forecaster import publish
from models.pipeline.train_forecaster import ForecasterOptions
from models.registry import Registry
from models.training import Progress

FEWEST_IN_A_REGION = FEWEST_EVENTS


class Plan(NamedTuple):
    """What is trained, on what."""

    catalogues: tuple[Path, ...]
    recent_days: float
    validation_days: float
    kinds: tuple[str, ...]
    seed: int
    table: RegionTable
    models: Path | None
    """Folder of the registry."""
    lowest_magnitude: float | None
    """Where the catalogue was cut; None: at the smallest in it."""
    teaching: ForecasterOptions = ForecasterOptions(reach=128, kernel_members=1, memory_members=2, place_reach=512)
    maps: MapOptions = MapOptions()
    gan: GanOptions = GanOptions()

    def teaching_of(self) -> ForecasterOptions:
        """How the forecaster is trained, with this plan's seed."""
        return msgspec.structs.replace(self.teaching, seed=self.seed)


def retrained(plan: Plan, in_force: Mapping[str, str], folder: Path, progress: Progress) -> Iterator[Decision]:
    """Train each kind and compare it with the one in force, the forecaster first: the CNN goes on top of whichever will be in force.

    A kind that cannot be trained or compared is kept as it is, with the reason; the others go on.

    Args:
        in_force: names by kind; kinds that are missing are the built-in ones.
        folder: where models are written before they enter the registry.

    Raises:
        Problem: the catalogue is empty or too small.
    """
    torch.set_num_threads(plan.teaching.threads)
    round_ = _Round(plan, Registry(plan.models), *lessons_of(plan), folder, progress)
    champions = round_.registry.speaking(in_force)
    if "lstm" in plan.kinds:
        decision = _or_kept("lstm", champions.get("lstm"), round_.forecaster)
        yield decision
        if decision.promoted:
            champions = {kind: name for kind, name in champions.items() if kind != "cnn"} | {"lstm": decision.challenger}
    if "cnn" in plan.kinds:
        yield _or_kept("cnn", champions.get("cnn"), lambda stays: round_.maps(champions["lstm"], stays))
    if "gan" in plan.kinds:
        yield _or_kept("gan", champions.get("gan"), round_.generator)


def _or_kept(kind: str, incumbent: str | None, attempt: Callable[[str | None], Decision]) -> Decision:
    try:
        return attempt(incumbent)
    except Problem as problem:
        return undecided(kind, incumbent, problem)


def lessons_of(plan: Plan) -> tuple[list[RegionDataset], Span]:
    """The catalogue by regions, its years divided from the end backwards, and the recent span.

    Raises:
        Problem: it is empty, shorter than that, or no region has enough events.
    """
    events = earthquakes(read_events(plan.catalogues))
    if not events:
        raise Problem("no earthquakes in the catalogue", "give one whose events are of the type earthquake, with magnitudes")
    first, last = min(event.time for event in events), max(event.time for event in events)
    end = Instant(int(last) + 1)
    recent = Span(end.plus(days=-plan.recent_days), end)
    chosen_from = recent.start.plus(days=-plan.validation_days)
    if first >= chosen_from:
        days = (last - first) / MILLISECONDS_PER_DAY
        raise Problem(
            f"the catalogue's {days:.0f} days are not more than the {plan.recent_days + plan.validation_days:.0f} that decide and choose",
            "give an earlier --from, or fewer --recent-days and --validation-days",
        )
    years = SplitDates(None, None, chosen_from, recent.start, end)
    lessons = by_region("newest", events, years, plan.table.region_of, plan.lowest_magnitude)
    if not lessons:
        raise Problem(f"no region has {FEWEST_IN_A_REGION} events in the catalogue", "give an earlier --from or a lower --min-magnitude")
    return lessons, recent


class _Round(NamedTuple):
    """One retraining: what is learned from, and where the models go."""

    plan: Plan
    registry: Registry
    lessons: list[RegionDataset]
    recent: Span
    folder: Path
    progress: Progress

    def forecaster(self, incumbent: str | None) -> Decision:
        assert incumbent is not None  # one comes with the program
        theirs, their_card = read_forecaster(self.registry.find(incumbent))
        card = publish(self.lessons, self.folder / "lstm", self.plan.teaching_of(), self.progress)
        ours, _ = read_forecaster(self.registry.add(self.folder / "lstm"))
        return decide("lstm", card.name, incumbent, forecaster_gains(ours, theirs, self.lessons, unseen(self.recent, their_card.data)))

    def maps(self, base: str, incumbent: str | None) -> Decision:
        """The CNN on top of the forecaster `base`, against the one that is on it, or against none."""
        network, base_card = read_forecaster(self.registry.find(base))
        theirs, seen = None, unseen(self.recent, base_card.data)
        if incumbent is not None:
            theirs, their_card = read_cnn(self.registry.find(incumbent))
            seen = unseen(seen, their_card.data)
        card = publish_cnn(self.lessons, self.folder / "cnn", (network, base), self.plan.maps, self.plan.seed, self.progress)
        ours, _ = read_cnn(self.registry.add(self.folder / "cnn"))
        return decide("cnn", card.name, incumbent or "none", map_gains(network, ours, theirs, self.lessons, seen))

    def generator(self, incumbent: str | None) -> Decision:
        if incumbent is None:
            raise Problem("no gan is in force to compare a new one with", "train one with `quakecast train gan` and promote it by its name")
        theirs, their_card = read_gan(self.registry.find(incumbent))
        card = publish_gan(self.lessons, self.folder / "gan", self.plan.gan, self.plan.seed, self.progress)
        ours, _ = read_gan(self.registry.add(self.folder / "gan"))
        return decide("gan", card.name, incumbent, sequence_gains(ours, theirs, self.lessons, unseen(self.recent, their_card.data)))

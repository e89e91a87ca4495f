"""Retraining: a new model comes into force only if it is better beyond chance on time that neither has seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import structlog
from typer.testing import CliRunner

from ingest.bus.database import Database
from ingest.bus.sqlite import SqliteLog
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from ingest.simulated import Sequence
from models.artifact.forecaster_files import WEIGHTS, write_forecaster
from models.catalog.point_pattern import PointPattern, Span
from models.cnn.train import MapOptions
from models.pipeline.decision import FEWEST_EVENTS, Decision, Gains, decide
from models.pipeline.forecaster_gains import forecaster_gains, judged, unseen
from models.pipeline.retrain import Plan, lessons_of, retrained
from models.registry.registry import Registry, built_in
from stream.cli.application import application
from stream.cli.retrain import _act
from stream.promotion import models_in_force
from tests.support.stand_ins import csv_of
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network
from tests.unit.models.pipeline.test_publish_forecaster import QUICK, lesson, silent

START = Instant.parse("2024-01-01T00:00:00Z")
DAYS = 120.0
QUICK_MAPS = MapOptions(side=6, width=4, steps=4, batch=16, validate_every=2, most_targets=200, validation_targets=100)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """The command sets up its log on the standard error of its own run, which is gone after it."""
    yield
    structlog.reset_defaults()


def gains(mean: float, events: int = 400, days: float = 200.0, spread: float = 0.1) -> Gains:
    """One number an event, spread evenly over some days."""
    differences = mean + np.random.default_rng(0).normal(0.0, spread, events)
    came = int(START) + np.linspace(0.0, days * MILLISECONDS_PER_DAY, events).astype(np.int64)
    return Gains(differences, came, np.empty(0, np.int64))


def without_events_in(one: PointPattern, span: Span) -> PointPattern:
    """Nothing came in the span, and the catalogue covers it."""
    return replace(one.before(span.start), observed=Span(one.observed.start, span.end))


@pytest.mark.parametrize(
    ("gained", "promoted", "why"),
    [
        (gains(0.1), True, "better beyond its interval"),
        (gains(0.005), False, "not better beyond its interval"),
        (gains(-0.1), False, "not better beyond its interval"),
        (gains(9.0, events=FEWEST_EVENTS - 1), False, "too few to decide"),
        (gains(9.0, days=20.0), False, "too short for an interval"),
        (gains(np.nan), False, "interval"),
        (Gains(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)), False, "0 events"),
    ],
    ids=["better", "better by chance", "worse", "few events", "few days", "not a number", "no events"],
)
def test_only_what_is_better_beyond_its_interval_is_promoted(gained: Gains, promoted: bool, why: str) -> None:
    decision = decide("lstm", "lstm-new", "lstm-old", gained)
    assert decision.promoted is promoted
    assert why in decision.why
    assert decision.line().startswith(f"lstm: promote lstm-new: {why}" if promoted else "lstm: keep lstm-old: ")
    assert "\n" not in decision.line()


def test_a_decision_says_its_numbers() -> None:
    line = decide("cnn", "cnn-new", "none", gains(0.1)).line()
    assert re.search(r"; \+0\.09\d+ nats an event \[\+0\.08\d+, \+0\.1\d+\] on 400 events$", line)


def test_what_the_incumbent_has_seen_does_not_count() -> None:
    recent = Span(START, START.plus(days=100.0))

    def seen_until(days: float) -> Span:
        return unseen(recent, [{"validation": {"to": str(START.plus(days=-50.0))}}, {"validation": {"to": str(START.plus(days=days))}}])

    assert seen_until(-10.0) == recent
    assert seen_until(40.0) == Span(START.plus(days=40.0), recent.end)
    assert seen_until(400.0) == Span(recent.end, recent.end)
    assert unseen(recent, []) == recent


def test_a_region_that_was_silent_counts_by_its_silence() -> None:
    busy, network, other = lesson(region="busy"), small_network(), small_network()
    other.timing.kernels.log_background.data += 1.0
    recent = busy.test
    silent_one = busy._replace(pattern=without_events_in(busy.pattern, recent), region="silent")
    assert judged([busy, silent_one], recent) == [busy, silent_one]
    alone, both = (forecaster_gains(network, other, lessons, recent) for lessons in ([busy], [busy, silent_one]))
    assert len(both.differences) == len(alone.differences) + 1
    assert both.ends.tolist() == [int(recent.end)] * 2
    assert both.differences[-1] > 0.0, "who expects less is the better where nothing came"
    assert not forecaster_gains(network, network, [busy, silent_one], recent).differences.any()


def test_a_region_whose_catalogue_ended_or_only_began_within_the_span_is_not_judged() -> None:
    taught = lesson()
    ended = taught._replace(pattern=taught.pattern.before(taught.test.start))
    began = Span(Instant(int(taught.pattern.observed.start) - 1), taught.test.end)
    assert judged([taught, ended], taught.test) == [taught]
    assert judged([taught], began) == []


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("catalogue") / "newest.csv"
    file.write_bytes(csv_of([event for event in Sequence(START, DAYS, 1, mainshock=5.0).events if event.network in ("ak", "pr")]))
    return file


def plan(catalogue: Path, models: Path, kinds: tuple[str, ...] = ("lstm",)) -> Plan:
    return Plan((catalogue,), 65.0, 20.0, kinds, 1, RegionTable.load(None), models, 2.5, QUICK, QUICK_MAPS)


def poor(models: Path) -> str:
    """An incumbent that learned nothing."""
    card = write_forecaster(models.parent / "poor", small_network(), EMPTY_CARD)
    Registry(models).add(models.parent / "poor")
    return card.name


@pytest.fixture(scope="module")
def round_of_three(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Decision], Path, str]:
    """All kinds retrained against a poor forecaster: the decisions, the folder of models, the incumbent."""
    models, trained = tmp_path_factory.mktemp("retrained") / "models", tmp_path_factory.mktemp("trained")
    incumbent = poor(models)
    decisions = list(retrained(plan(catalogue, models, ("lstm", "cnn", "gan")), {"lstm": incumbent}, trained, silent))
    return decisions, models, incumbent


def test_a_better_forecaster_is_promoted_and_the_cnn_is_made_on_top_of_it(round_of_three: tuple[list[Decision], Path, str]) -> None:
    (lstm, cnn, _), models, incumbent = round_of_three
    assert (lstm.kind, lstm.incumbent, lstm.promoted) == ("lstm", incumbent, True)
    assert lstm.gain["low"] is not None
    assert lstm.gain["low"] > 0.0
    assert (cnn.kind, cnn.incumbent) == ("cnn", "none"), "that of the old forecaster left with it"
    cards = {entry.name: entry for entry in Registry(models).entries()}
    assert cards[cnn.challenger].card["base"] == lstm.challenger
    assert all(entry.damage is None for entry in cards.values())
    for name in ("reliability.png", "training.png"):
        assert any((entry.folder / name).is_file() for entry in cards.values() if not entry.built_in)


def test_a_kind_that_cannot_be_trained_stays_as_it_is_and_says_why(round_of_three: tuple[list[Decision], Path, str]) -> None:
    gan = round_of_three[0][-1]
    assert (gan.kind, gan.promoted, gan.failed) == ("gan", False, True)
    assert re.search(r"sequences to train the generator on|no gan is in force", gan.line())
    assert not [entry for entry in Registry(round_of_three[1]).entries() if entry.kind == "gan" and not entry.built_in]


def test_the_new_models_learned_nothing_of_the_time_that_decides(round_of_three: tuple[list[Decision], Path, str], catalogue: Path) -> None:
    _, recent = lessons_of(plan(catalogue, Path("none")))
    for decision in round_of_three[0][:2]:
        card = next(entry.card for entry in Registry(round_of_three[1]).entries() if entry.name == decision.challenger)
        assert [one["validation"]["to"] for one in card["data"]] == [str(recent.start)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_prints_the_decision_and_promotes_nothing(
    round_of_three: tuple[list[Decision], Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    log = SqliteLog(Database(tmp_path / "log.db"))
    log.create_topics()
    for decision in round_of_three[0]:
        _act(decision, log, dry_run=dry_run, json=False)
    lstm = round_of_three[0][0]
    assert capsys.readouterr().out.splitlines() == [decision.line() for decision in round_of_three[0]]
    assert models_in_force(log).get("lstm") == (None if dry_run else lstm.challenger)


def test_an_incumbent_that_is_damaged_is_told_before_anything_is_trained(catalogue: Path, tmp_path: Path) -> None:
    models, stages = tmp_path / "models", list[str]()
    incumbent = poor(models)
    (models / incumbent / WEIGHTS).write_bytes(b"")
    (decision,) = retrained(plan(catalogue, models), {"lstm": incumbent}, tmp_path, lambda stage, *_: stages.append(stage))
    assert decision.failed
    assert "is damaged: weights.safetensors" in decision.line()
    assert not stages


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (0, "no events in"),
        (3, "no region has 20 events"),
        (2, "is not more than|are not more than"),
    ],
)
def test_a_catalogue_with_next_to_nothing_in_it_is_a_problem(tmp_path: Path, rows: int, said: str) -> None:
    file = tmp_path / "few.csv"
    events = Sequence(START, DAYS, 7, mainshock=5.0).events
    few = {0: [], 3: [events[0], events[1], events[-1]], 2: events[:2]}[rows]
    file.write_bytes(csv_of(few))
    with pytest.raises(Problem, match=said):
        list(retrained(plan(file, tmp_path / "models"), {}, tmp_path, silent))
    assert not (tmp_path / "models").exists()


@pytest.mark.usefixtures("logging_as_before")
def test_the_command_refuses_a_kind_that_is_none_and_a_log_that_is_not_there(tmp_path: Path) -> None:
    ask = ["retrain", "--catalog", "none.csv", "--models", str(tmp_path / "models")]
    unknown = CliRunner().invoke(application, [*ask, "--only", "rnn"])
    assert unknown.exit_code == 2
    assert "rnn" in unknown.output
    nowhere = CliRunner().invoke(application, [*ask, "--bus", f"sqlite:///{tmp_path}/none.db"])
    assert isinstance(nowhere.exception, Problem)
    assert not (tmp_path / "none.db").exists()


def test_without_any_promotion_the_built_in_models_are_the_incumbents(catalogue: Path, tmp_path: Path) -> None:
    def stop_at_once(*_: object) -> None:
        raise Problem("stopped", "by the test")

    (decision,) = retrained(plan(catalogue, tmp_path / "models"), {}, tmp_path, stop_at_once)
    assert decision.incumbent == built_in("lstm")

"""Models swapped under a running worker, over real logs and stores: no forecast missing, none twice, and a replay swaps alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, MODELS, TOPICS, Log
from ingest.event import Promotion, decode, encode
from stream.partition import Partition
from stream.promotion import decode_promotion_record as decode_models
from stream.promotion import models_in_force, promote
from stream.records.activation import Activation
from stream.records.forecast import decode_forecast
from stream.replay import Span, copy_log
from stream.store import open_store
from stream.worker import Worker
from tests.integration.test_worker import HALF, HOME, POLLS, TABLE, DyingStore, Ground, Killed, ground  # noqa: F401 - a fixture
from tests.support.simulated import REGION, Shelf, SumForecaster

THIRD = len(POLLS) // 3


def shelf(*more: SumForecaster) -> Shelf:
    return Shelf(SumForecaster("sum-1"), SumForecaster("sum-2", weight=3.0), *more)


def worker(ground: Ground, library: Shelf | None, batch_size: int = 20, saves_before: int | None = None) -> Worker:  # noqa: F811
    store = ground.store if saves_before is None else DyingStore(ground.store, saves_before)
    own = SumForecaster("sum-1")
    return Worker(ground.log, store, TABLE, own, library=library, batch_size=batch_size, on_forecast=ground.reported.append)


def run(ground: Ground, library: Shelf | None = None, batch_size: int = 20, saves_before: int | None = None) -> None:  # noqa: F811
    made = worker(ground, library or shelf(), batch_size, saves_before)
    try:
        ground.work(made)
        made.turn(0.3)  # a promotion after the last record
    finally:
        made.close()


def by_core(log: Log, library: Shelf) -> dict[int, list[bytes]]:
    """What the core alone says of the log as it stands, by partition."""
    said: dict[int, list[bytes]] = {}
    for number in range(TOPICS[EVENTS]):
        partition = Partition(number, TABLE, SumForecaster("sum-1"), library=library)
        said[number] = []
        for record in log.read(EVENTS, number, log.starts(EVENTS)[number], log.ends(EVENTS)[number]):
            known = decode(record.value)
            if isinstance(known, Promotion):
                partition.apply_promotion(known, record.offset)
            else:
                said[number] += [body for _, body in partition.take(known, record.offset)]
    return said


def activations(ground: Ground) -> list[Activation]:  # noqa: F811
    known = [decode_models(record.value) for record in ground.records(MODELS, 0)]
    return [one for one in known if isinstance(one, Activation)]


def models_by_time(ground: Ground) -> list[str]:  # noqa: F811
    """The models that spoke for the region `test`, each run of them once."""
    names = [decode_forecast(body).model for body in ground.forecasts()[HOME] if decode_forecast(body).region == REGION.id]
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


def tell_with_promotions(ground: Ground) -> None:  # noqa: F811
    ground.publish(POLLS[:THIRD])
    promote(ground.log, {"lstm": "sum-2"})
    ground.publish(POLLS[THIRD:HALF])
    promote(ground.log, {"lstm": "sum-1"}, reason="back")
    ground.publish(POLLS[HALF:])


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_workers_swap_at_the_mark_whatever_the_batches(ground: Ground, batch_size: int) -> None:  # noqa: F811
    tell_with_promotions(ground)
    run(ground, batch_size=batch_size)
    assert ground.forecasts() == by_core(ground.log, shelf())
    assert models_by_time(ground) == ["sum-1", "sum-2", "sum-1"]
    assert Counter(one.partition for one in activations(ground)) == dict.fromkeys(range(TOPICS[EVENTS]), 2)
    assert {one.refused for one in activations(ground)} == {None}


def test_a_promotion_reaches_a_worker_that_is_running(ground: Ground) -> None:  # noqa: F811
    ground.publish(POLLS[:HALF])
    running = worker(ground, shelf())
    ground.work(running)
    promote(ground.log, {"lstm": "sum-2"})
    ground.publish(POLLS[HALF:])
    ground.work(running)
    running.close()
    assert ground.forecasts() == by_core(ground.log, shelf())
    assert models_by_time(ground) == ["sum-1", "sum-2"]


@pytest.mark.parametrize("saves_before", [0, 2, 4, 6])
def test_a_worker_killed_around_a_swap_is_followed_by_one_that_repeats_and_misses_nothing(
    ground: Ground,  # noqa: F811
    saves_before: int,
) -> None:
    tell_with_promotions(ground)
    with pytest.raises(Killed):
        run(ground, saves_before=saves_before)
    run(ground)
    assert ground.forecasts() == by_core(ground.log, shelf())
    assert Counter(one.partition for one in activations(ground)) == dict.fromkeys(range(TOPICS[EVENTS]), 2)


def test_a_new_worker_goes_on_under_the_promoted_model_without_folding_the_log_again(ground: Ground) -> None:  # noqa: F811
    ground.publish(POLLS[:THIRD])
    promote(ground.log, {"lstm": "sum-2"})
    ground.publish(POLLS[THIRD:HALF])
    run(ground)
    ground.publish(POLLS[HALF:])
    later = shelf()
    run(ground, later)
    assert ground.forecasts() == by_core(ground.log, shelf())
    whole = shelf()
    by_core(ground.log, whole)
    assert len(later.known["sum-2"].observed) < len(whole.known["sum-2"].observed)


def test_an_emptied_store_is_made_again_with_its_swaps(ground: Ground) -> None:  # noqa: F811
    tell_with_promotions(ground)
    run(ground)
    kept = ground.store.load(HOME)
    for number in range(TOPICS[EVENTS]):
        ground.store.drop(number)
    run(ground)
    again = ground.store.load(HOME)
    assert kept is not None
    assert again is not None
    assert (again.position, again.regions) == (kept.position, kept.regions)
    assert ground.forecasts() == by_core(ground.log, shelf())


def test_a_missing_model_is_refused_in_the_open_and_the_incumbent_goes_on(ground: Ground) -> None:  # noqa: F811
    ground.publish(POLLS[:HALF])
    promote(ground.log, {"lstm": "sum-9"})
    ground.publish(POLLS[HALF:])
    run(ground)
    assert models_by_time(ground) == ["sum-1"]
    assert {one.model for one in activations(ground)} == {"sum-1"}
    assert all(one.refused is not None and "sum-9" in one.refused for one in activations(ground))
    assert models_in_force(ground.log) == {}


def test_a_worker_without_the_promoted_model_folds_the_log_again_with_those_it_has(ground: Ground) -> None:  # noqa: F811
    ground.publish(POLLS[:THIRD])
    promote(ground.log, {"lstm": "sum-2"})
    ground.publish(POLLS[THIRD:HALF])
    run(ground)
    ground.publish(POLLS[HALF:])
    run(ground, Shelf(SumForecaster("sum-1")))
    said = [decode_forecast(body) for body in ground.forecasts()[HOME]]
    assert len({forecast.id for forecast in said}) == len(said)
    assert models_by_time(ground) == ["sum-1", "sum-2", "sum-1"]


def test_a_replay_of_the_log_swaps_at_the_same_records(ground: Ground, tmp_path: Path) -> None:  # noqa: F811
    tell_with_promotions(ground)
    run(ground)
    url = f"sqlite:///{tmp_path}/replayed.db"
    target = open_log(url)
    source = ground.log_url
    copy_log(source, target, Span(), lambda *_: None)
    again = Worker(target, open_store(url, target), TABLE, SumForecaster("sum-1"), library=shelf(), batch_size=33)
    again.turn(0.0)  # takes the partitions over
    while again.turn(0.0):
        pass
    again.close()
    ends = target.ends(FORECASTS)
    replayed = {number: [record.value for record in target.read(FORECASTS, number, 0, end)] for number, end in ends.items()}
    assert replayed == ground.forecasts()
    target.close()


def test_a_shadow_is_scored_beside_the_champion_and_says_nothing(ground: Ground) -> None:  # noqa: F811
    promote(ground.log, {"lstm": "sum-2"}, challenger=True)
    ground.publish(POLLS)
    run(ground)
    assert models_by_time(ground) == ["sum-1"]
    scores = [forecast.score for body in ground.forecasts()[HOME] if (forecast := decode_forecast(body)).score is not None]
    assert scores[-1] is not None
    assert "sum-2" in scores[-1].gain_per_event
    assert encode(activations(ground)[0].promotion) == ground.records(MODELS, 0)[0].value

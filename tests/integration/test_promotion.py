"""Models swapped while a worker runs, over real logs and stores: no forecast is missing or repeated, and a replay swaps alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, MODELS, TOPICS, Log
from ingest.event import Promotion, decode, encode
from stream.partition import Partition
from stream.promotion import decode_promotion_record, models_in_force, promote
from stream.records.activation import Activation
from stream.records.forecast import decode_forecast
from stream.replay import copy_log
from stream.replay_span import Span
from stream.store import open_store
from stream.worker import Worker
from tests.integration.test_worker import HALF, HOME, POLLS, TABLE, Deployment, DyingStore, Killed, deployment  # noqa: F401 - a fixture
from tests.support.simulated import REGION, ForecasterLibrary, SumForecaster

THIRD = len(POLLS) // 3


def library_of_two(*more: SumForecaster) -> ForecasterLibrary:
    return ForecasterLibrary(SumForecaster("sum-1"), SumForecaster("sum-2", weight=3.0), *more)


def worker(deployment: Deployment, library: ForecasterLibrary | None, batch_size: int = 20, saves_before: int | None = None) -> Worker:  # noqa: F811
    store = deployment.store if saves_before is None else DyingStore(deployment.store, saves_before)
    own = SumForecaster("sum-1")
    return Worker(deployment.log, store, TABLE, own, library=library, batch_size=batch_size, on_forecast=deployment.reported.append)


def run(deployment: Deployment, library: ForecasterLibrary | None = None, batch_size: int = 20, saves_before: int | None = None) -> None:  # noqa: F811
    running = worker(deployment, library or library_of_two(), batch_size, saves_before)
    try:
        deployment.work(running)
    finally:
        running.close()


def forecasts_of_core(log: Log, library: ForecasterLibrary) -> dict[int, list[bytes]]:
    """Return the forecasts that the core issues for the log, by partition."""
    forecasts: dict[int, list[bytes]] = {}
    for number in range(TOPICS[EVENTS]):
        partition = Partition(number, TABLE, SumForecaster("sum-1"), library=library)
        forecasts[number] = []
        for record in log.read(EVENTS, number, log.starts(EVENTS)[number], log.ends(EVENTS)[number]):
            known = decode(record.value)
            if isinstance(known, Promotion):
                partition.apply_promotion(known, record.offset)
            else:
                forecasts[number] += [body for _, body in partition.take(known, record.offset)]
    return forecasts


def activations(deployment: Deployment) -> list[Activation]:  # noqa: F811
    known = [decode_promotion_record(record.value) for record in deployment.records(MODELS, 0)]
    return [one for one in known if isinstance(one, Activation)]


def models_in_order(deployment: Deployment) -> list[str]:  # noqa: F811
    """Return the models of the forecasts for the region `test` in order, without repetitions."""
    names = [decode_forecast(body).model for body in deployment.forecasts()[HOME] if decode_forecast(body).region == REGION.id]
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


def publish_with_promotions(deployment: Deployment) -> None:  # noqa: F811
    deployment.publish(POLLS[:THIRD])
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[THIRD:HALF])
    promote(deployment.log, {"lstm": "sum-1"}, reason="back")
    deployment.publish(POLLS[HALF:])


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_workers_swap_models_at_the_mark_for_any_batch_size(deployment: Deployment, batch_size: int) -> None:  # noqa: F811
    publish_with_promotions(deployment)
    run(deployment, batch_size=batch_size)
    assert deployment.forecasts() == forecasts_of_core(deployment.log, library_of_two())
    assert models_in_order(deployment) == ["sum-1", "sum-2", "sum-1"]
    assert Counter(one.partition for one in activations(deployment)) == dict.fromkeys(range(TOPICS[EVENTS]), 2)
    assert {one.refused for one in activations(deployment)} == {None}


def test_a_promotion_reaches_a_worker_that_is_running(deployment: Deployment) -> None:  # noqa: F811
    deployment.publish(POLLS[:HALF])
    running = worker(deployment, library_of_two())
    deployment.work(running)
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[HALF:])
    deployment.work(running)
    running.close()
    assert deployment.forecasts() == forecasts_of_core(deployment.log, library_of_two())
    assert models_in_order(deployment) == ["sum-1", "sum-2"]


@pytest.mark.parametrize("saves_before", [0, 2, 4, 6])
def test_after_a_kill_around_a_swap_the_next_worker_repeats_and_misses_no_forecast(
    deployment: Deployment,  # noqa: F811
    saves_before: int,
) -> None:
    publish_with_promotions(deployment)
    with pytest.raises(Killed):
        run(deployment, saves_before=saves_before)
    run(deployment)
    assert deployment.forecasts() == forecasts_of_core(deployment.log, library_of_two())
    assert Counter(one.partition for one in activations(deployment)) == dict.fromkeys(range(TOPICS[EVENTS]), 2)


def test_a_new_worker_continues_with_the_promoted_model_without_folding_the_log_again(deployment: Deployment) -> None:  # noqa: F811
    deployment.publish(POLLS[:THIRD])
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[THIRD:HALF])
    run(deployment)
    deployment.publish(POLLS[HALF:])
    later = library_of_two()
    run(deployment, later)
    assert deployment.forecasts() == forecasts_of_core(deployment.log, library_of_two())
    whole = library_of_two()
    forecasts_of_core(deployment.log, whole)
    assert len(later.known["sum-2"].observed) < len(whole.known["sum-2"].observed)


def test_an_emptied_store_is_rebuilt_with_its_swaps(deployment: Deployment) -> None:  # noqa: F811
    publish_with_promotions(deployment)
    run(deployment)
    before = deployment.store.load(HOME)
    for number in range(TOPICS[EVENTS]):
        deployment.store.drop(number)
    run(deployment)
    again = deployment.store.load(HOME)
    assert before is not None
    assert again is not None
    assert (again.position, again.regions) == (before.position, before.regions)
    assert deployment.forecasts() == forecasts_of_core(deployment.log, library_of_two())


def test_the_promotion_of_a_missing_model_is_refused_and_the_current_model_stays(deployment: Deployment) -> None:  # noqa: F811
    deployment.publish(POLLS[:HALF])
    promote(deployment.log, {"lstm": "sum-9"})
    deployment.publish(POLLS[HALF:])
    run(deployment)
    assert models_in_order(deployment) == ["sum-1"]
    assert {one.model for one in activations(deployment)} == {"sum-1"}
    assert all(one.refused is not None and "sum-9" in one.refused for one in activations(deployment))
    assert models_in_force(deployment.log) == {}


def takeovers(deployment: Deployment) -> list[Activation]:  # noqa: F811
    return [one for one in activations(deployment) if one.failed is not None]


def replayed_forecasts(deployment: Deployment, url: str, library: ForecasterLibrary) -> dict[int, list[bytes]]:  # noqa: F811
    """Return the forecasts of a replay of the log into another one."""
    target = open_log(url)
    copy_log(deployment.log_url, target, Span(), lambda *_: None)
    again = Worker(target, open_store(url, target), TABLE, SumForecaster("sum-1"), library=library, batch_size=33)
    again.turn(0.0)  # assigns the partitions
    while again.turn(0.0):
        pass
    again.close()
    ends = target.ends(FORECASTS)
    replayed = {number: [record.value for record in target.read(FORECASTS, number, 0, end)] for number, end in ends.items()}
    target.close()
    return replayed


@pytest.mark.parametrize("store_is_kept", [True, False])
def test_another_model_takes_over_from_one_that_is_gone_by_a_record_and_a_replay_repeats_it(
    deployment: Deployment,  # noqa: F811
    tmp_path: Path,
    store_is_kept: bool,
) -> None:
    deployment.publish(POLLS[:THIRD])
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[THIRD:HALF])
    run(deployment)
    if not store_is_kept:
        for number in range(TOPICS[EVENTS]):
            deployment.store.drop(number)
    deployment.publish(POLLS[HALF:-THIRD])
    run(deployment, ForecasterLibrary(SumForecaster("sum-1")))
    assert models_in_order(deployment) == ["sum-1", "sum-2", "sum-1"]
    taken = {one.partition: one for one in takeovers(deployment)}
    assert (taken[HOME].failed, taken[HOME].model) == ({"lstm": "sum-2"}, "sum-1")
    assert "sum-2 is not in the library" in taken[HOME].promotion.reason
    assert models_in_force(deployment.log) == {}
    deployment.publish(POLLS[-THIRD:])  # with the model back
    run(deployment)
    assert models_in_order(deployment) == ["sum-1", "sum-2", "sum-1"]
    assert len(takeovers(deployment)) == len(taken)
    assert replayed_forecasts(deployment, f"sqlite:///{tmp_path}/replayed.db", library_of_two()) == deployment.forecasts()


@pytest.mark.parametrize("saves_before", [0, 3, 6])
def test_after_a_kill_around_a_takeover_nothing_is_repeated_or_missing(
    deployment: Deployment,  # noqa: F811
    tmp_path: Path,
    saves_before: int,
) -> None:
    deployment.publish(POLLS[:THIRD])
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[THIRD:HALF])
    run(deployment)
    deployment.publish(POLLS[HALF:])
    broken = ForecasterLibrary(SumForecaster("sum-1"))
    with pytest.raises(Killed):
        run(deployment, broken, saves_before=saves_before)
    run(deployment, broken)
    assert Counter(one.partition for one in takeovers(deployment)).most_common(1)[0][1] == 1
    assert replayed_forecasts(deployment, f"sqlite:///{tmp_path}/replayed.db", library_of_two()) == deployment.forecasts()


def test_what_a_stand_in_folds_is_not_saved(deployment: Deployment, tmp_path: Path) -> None:  # noqa: F811
    """All is forecast, nothing is saved; a worker without the model folds it again, then one with the model goes on."""
    deployment.publish(POLLS[:THIRD])
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[THIRD:HALF])
    with pytest.raises(Killed):
        run(deployment, batch_size=10_000, saves_before=0)
    run(deployment, ForecasterLibrary(SumForecaster("sum-1")))
    deployment.publish(POLLS[HALF:])
    run(deployment)
    assert replayed_forecasts(deployment, f"sqlite:///{tmp_path}/replayed.db", library_of_two()) == deployment.forecasts()


def test_promoting_a_model_ends_a_takeover(deployment: Deployment) -> None:  # noqa: F811
    deployment.publish(POLLS[:THIRD])
    promote(deployment.log, {"lstm": "sum-2"})
    deployment.publish(POLLS[THIRD:HALF])
    run(deployment)
    run_without = ForecasterLibrary(SumForecaster("sum-1"))
    deployment.publish(POLLS[HALF:-THIRD])
    run(deployment, run_without)
    promote(deployment.log, {"lstm": "sum-2"}, reason="it is back")
    deployment.publish(POLLS[-THIRD:])
    run(deployment)
    assert models_in_order(deployment) == ["sum-1", "sum-2", "sum-1", "sum-2"]
    assert models_in_force(deployment.log) == {"lstm": "sum-2"}


def test_a_replay_of_the_log_swaps_models_at_the_same_records(deployment: Deployment, tmp_path: Path) -> None:  # noqa: F811
    publish_with_promotions(deployment)
    run(deployment)
    assert replayed_forecasts(deployment, f"sqlite:///{tmp_path}/replayed.db", library_of_two()) == deployment.forecasts()


def test_a_challenger_is_scored_beside_the_champion_and_issues_no_forecast(deployment: Deployment) -> None:  # noqa: F811
    promote(deployment.log, {"lstm": "sum-2"}, challenger=True)
    deployment.publish(POLLS)
    run(deployment)
    assert models_in_order(deployment) == ["sum-1"]
    scores = [forecast.score for body in deployment.forecasts()[HOME] if (forecast := decode_forecast(body)).score is not None]
    assert scores[-1] is not None
    assert "sum-2" in scores[-1].gain_per_event
    assert encode(activations(deployment)[0].promotion) == deployment.records(MODELS, 0)[0].value

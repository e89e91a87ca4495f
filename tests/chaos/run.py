"""One run: faults at random, then rest, then the verdict."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from tests.chaos import feeds
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.faults import faults_of, happen
from tests.chaos.verdict import Verdict, judge, settle
from tests.chaos.watch import Watch
from tests.support.waiting import wait_until

LONGEST_PAUSE_SECONDS = 3.0
SHARE_OBSERVED = 0.3
"""Of the faults, after which the run waits until everything is well again; the others are followed by the next one at once."""
RECOVERS_WITHIN_SECONDS = 120.0
FOLLOWS_WITHIN_SECONDS, CONTROL_SECONDS = 180.0, 30.0
"""How long the log may take to agree with the source after the last fault; a control that loses changes never gets there."""
STOPS_WITHIN_SECONDS = 10.0
"""Twice what is promised: the machine may be busy."""


class Plan(NamedTuple):
    """What a run is to do."""

    deployment: str
    recorded: Path | None
    """The folder of the recorded feed; None for the simulated one."""
    seed: int
    faults: int
    minutes: float
    only: tuple[str, ...]
    one_at_a_time: bool
    control: str | None

    @property
    def command(self) -> str:
        """Return the command that repeats the run."""
        only = "".join(f" --only {name!r}" for name in self.only) if self.control is None else ""
        options = f"--deployment {self.deployment}{' --feed recorded' if self.recorded else ''}{' --one-at-a-time' * self.one_at_a_time}"
        return f"python -m tests.chaos {options} --seed {self.seed} --faults {self.faults}{only}" + (
            f" --control {self.control}" if self.control else ""
        )


class Happened(NamedTuple):
    """A fault as it happened."""

    name: str
    recovery_seconds: float | None
    """From the end of its cause until every partition had taken in input written after that; None when nobody waited."""
    silence_seconds: float | None
    """The longest time, from its begin until then, in which a partition did not advance."""


class Result(NamedTuple):
    """What a run came to."""

    happened: list[Happened]
    verdict: Verdict
    tracebacks: dict[str, int]
    ended: dict[str, list[int]]
    """Exit codes of processes that ended by themselves."""
    stop_seconds: dict[str, list[float]]
    """By process."""
    not_recovered: list[str]
    seconds: float

    @property
    def is_clean(self) -> bool:
        slow = [name for name, seconds in self.stop_seconds.items() if max(seconds, default=0.0) > STOPS_WITHIN_SECONDS]
        return self.verdict.is_clean and not (self.not_recovered or slow)


def run(plan: Plan) -> Result:
    """Carry out a plan."""
    began, draw = time.monotonic(), Random(plan.seed)
    with ExitStack() as stack:
        feed = stack.enter_context(feeds.recorded(plan.recorded) if plan.recorded else feeds.simulated(plan.seed))
        deployment = stack.enter_context(deployed(plan.deployment, feed, plan.control))
        watch = Watch(deployment)
        stack.callback(watch.stop)
        _wait_until_well(watch, time.monotonic())
        happened, not_recovered = _let_faults_happen(plan, deployment, watch, draw)
        differences = settle(deployment, patience_seconds=FOLLOWS_WITHIN_SECONDS if plan.control is None else CONTROL_SECONDS)
        watch.stop()
        verdict = judge(deployment, differences)
        processes = deployment.processes
        tracebacks = {process.name: process.tracebacks() for process in processes}
        ended = {process.name: process.ended for process in processes if process.ended}
        stops = {process.name: process.stop_seconds for process in processes}
        _show_logs(deployment, tracebacks)
    return Result(happened, verdict, tracebacks, ended, stops, not_recovered, time.monotonic() - began)


def _let_faults_happen(plan: Plan, deployment: Deployment, watch: Watch, draw: Random) -> tuple[list[Happened], list[str]]:
    faults, deadline = faults_of(deployment), time.monotonic() + 60.0 * plan.minutes
    names = sorted(set(plan.only) & set(faults) if plan.only else faults)
    happened: list[Happened] = []
    not_recovered: list[str] = []
    for number in range(plan.faults):
        if time.monotonic() > deadline:
            break
        name, observed = draw.choice(names), plan.one_at_a_time or draw.random() < SHARE_OBSERVED
        if observed and not _wait_until_well(watch, time.monotonic()):
            not_recovered.append(f"before {number}, {name}")
        watch.forget_silence()
        began = time.monotonic()
        happen(faults[name], name, deployment, draw)
        gone = time.monotonic()
        if not observed:
            happened.append(Happened(name, None, None))
            time.sleep(draw.uniform(0.0, LONGEST_PAUSE_SECONDS))
        elif _wait_until_well(watch, gone):
            happened.append(Happened(name, time.monotonic() - gone, watch.silence_seconds))
        else:
            happened.append(Happened(name, RECOVERS_WITHIN_SECONDS, watch.silence_seconds))
            not_recovered.append(f"after {number}, {name}")
        print(
            f"{number:4} {name:24}{gone - began:6.1f} s" + (f", well after {happened[-1].recovery_seconds:.1f} s" if observed else ""),
            flush=True,
        )
    return happened, not_recovered


def _wait_until_well(watch: Watch, moment: float) -> bool:
    try:
        wait_until(lambda: watch.has_passed(moment), "input taken in", seconds=RECOVERS_WITHIN_SECONDS)
    except AssertionError:
        return False
    return True


def _show_logs(deployment: Deployment, tracebacks: dict[str, int]) -> None:
    for process in deployment.processes:
        if tracebacks[process.name]:
            text = process.log_file.read_text(encoding="utf-8", errors="replace")
            first = text.index("Traceback (most recent call last)")
            print(f"--- {process.name}, its first traceback:\n{text[first : first + 6_000]}")


def report(plan: Plan, result: Result) -> str:
    """Return the figures of a run as text, with the command that repeats it."""
    lines = [f"{'fault':24}{'times':>6}{'observed':>9}{'recovery median':>16}{'worst s':>9}{'silence median':>16}{'worst s':>9}"]
    for name in sorted({one.name for one in result.happened}):
        these = [one for one in result.happened if one.name == name]
        back = [one.recovery_seconds for one in these if one.recovery_seconds is not None]
        silent = [one.silence_seconds for one in these if one.silence_seconds is not None]
        figures = f"{median(back):16.1f}{max(back):9.1f}{median(silent):16.1f}{max(silent):9.1f}" if back else ""
        lines.append(f"{name:24}{len(these):6}{len(back):9}{figures}")
    verdict = result.verdict
    lines += [
        f"faults {len(result.happened)} in {result.seconds:.0f} s",
        f"lost {verdict.lost}, twice {verdict.twice}, different {verdict.different}, activations {verdict.activations},"
        f" states {verdict.states}",
        *(f"{what}: {len(found)}, the first {found[:3]}" for what, found in _lists(verdict) if found),
        f"stops: worst {_worst_stop(result.stop_seconds)}; tracebacks {sum(result.tracebacks.values())};"
        f" ended by themselves {result.ended}; not recovered {result.not_recovered}",
    ]
    outcome = "every promise held" if result.is_clean else "A PROMISE WAS BROKEN"
    return "\n".join([*lines, f"{outcome}; to repeat: {plan.command}"])


def _worst_stop(stops: dict[str, list[float]]) -> str:
    seconds, name = max((max(found), name) for name, found in stops.items() if found)
    return f"{seconds:.1f} s ({name})"


def _lists(verdict: Verdict) -> list[tuple[str, list[str]]]:
    return [("input numbered wrongly", verdict.numbering), ("repeated changes", verdict.repeated), ("unlike the source", verdict.source)]

"""The table of faults. Each is a context: at its begin the fault happens, at its end its cause is gone."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from random import Random
from typing import Any

import redis

from tests.chaos.deployment import Deployment
from tests.chaos.process import ManagedProcess
from tests.chaos.servers import Broker, RedisPair
from tests.support.paths import ROOT
from tests.support.proxy import Proxy
from tests.support.servers import LocalServer

Fault = Callable[[Deployment, Random], AbstractContextManager[object]]
SLOW_SECONDS = 0.2
CLOCK_STEPS_SECONDS = (-172_800, -3_600, -30, 30, 3_600, 172_800)
SPARE_BYTES = 4 * 1024 * 1024


def a_worker(deployment: Deployment, draw: Random) -> ManagedProcess:
    return draw.choice(deployment.workers)


def the_ingest(deployment: Deployment, draw: Random) -> ManagedProcess:
    return deployment.ingest


def a_process(deployment: Deployment, draw: Random) -> ManagedProcess:
    return draw.choice(deployment.processes)


def a_broker(deployment: Deployment, draw: Random) -> Broker:
    assert deployment.cluster is not None
    return draw.choice(deployment.cluster.brokers)


def the_redis(deployment: Deployment) -> RedisPair:
    assert deployment.redis is not None
    return deployment.redis


def _client(deployment: Deployment) -> Any:
    return redis.Redis(port=the_redis(deployment).master)


Choice = Callable[[Deployment, Random], ManagedProcess]


def down(choose: Callable[[Deployment, Random], ManagedProcess | LocalServer], *, by_kill: bool) -> Fault:
    """Let a process end, killed or by SIGTERM, and start it again."""

    @contextmanager
    def fault(deployment: Deployment, draw: Random) -> Iterator[None]:
        chosen = choose(deployment, draw)
        if by_kill:
            chosen.kill()
        else:
            chosen.stop()
        yield
        chosen.start()

    return fault


def paused(choose: Choice) -> Fault:
    return lambda deployment, draw: choose(deployment, draw).paused()


def clock_stepped(choose: Choice) -> Fault:
    return lambda deployment, draw: choose(deployment, draw).clock_off_by(draw.choice(CLOCK_STEPS_SECONDS))


def without_files(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    process = a_process(deployment, draw)
    return process.limited(resource.RLIMIT_NOFILE, process.open_files())


def without_memory(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    process = a_process(deployment, draw)
    return process.limited(resource.RLIMIT_AS, process.address_space_bytes() + SPARE_BYTES)


def a_broker_s_server(deployment: Deployment, draw: Random) -> LocalServer:
    return a_broker(deployment, draw).server


@contextmanager
def broker_disk_full(deployment: Deployment, draw: Random) -> Iterator[None]:
    broker = a_broker(deployment, draw)
    broker.disk.fill()
    try:
        yield
    finally:
        broker.disk.clear()
    broker.server.kill()  # a broker gives up a folder that it could not write to, until it is started again
    broker.server.start()


@contextmanager
def disk_full(deployment: Deployment, draw: Random) -> Iterator[None]:
    assert deployment.disk is not None
    deployment.disk.fill()
    try:
        yield
    finally:
        deployment.disk.clear()


def redis_restarted(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    the_redis(deployment).restart()
    return nullcontext()


def redis_failed_over(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    the_redis(deployment).fail_over()
    return nullcontext()


def redis_emptied(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    with suppress(redis.RedisError):  # it has just become a replica
        _client(deployment).flushall()
    return nullcontext()


@contextmanager
def redis_read_only(deployment: Deployment, draw: Random) -> Iterator[None]:
    """Let the server refuse writes for want of memory."""
    client = _client(deployment)
    client.config_set("maxmemory", "1")
    yield
    client.config_set("maxmemory", "0")


def proxied(choose: Callable[[Deployment, Random], Proxy], kind: str) -> Fault:
    def fault(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
        proxy = choose(deployment, draw)
        if kind == "slow":
            return proxy.slow(SLOW_SECONDS)
        return proxy.cut() if kind == "cut" else proxy.stalled()

    return fault


def feed_fault(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    """Let the recorded feed answer badly a few times."""
    mode = draw.choice(("429", "500", "503", "truncated", "html", "slow", "reset"))
    urllib.request.urlopen(f"{deployment.feed.address}/_fault?mode={mode}&n={draw.randint(1, 5)}").read()
    return nullcontext()


def promoted(deployment: Deployment, draw: Random) -> AbstractContextManager[None]:
    """Put another model in force."""
    names = [*sorted(path.name for path in deployment.models.iterdir()), "back"]
    chosen = draw.choice(names)
    arguments = ["--back", "lstm"] if chosen == "back" else [chosen]
    url = deployment.cluster.url if deployment.cluster else deployment.inside_url
    command = [sys.executable, "-m", "stream.cli", "promote", *arguments, "--bus", url, "--models", str(deployment.models)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)  # `--back` before the first promotion is refused, and says so
    return nullcontext()


def _to_broker(deployment: Deployment, draw: Random) -> Proxy:
    return a_broker(deployment, draw).proxy


def _to_redis(deployment: Deployment, draw: Random) -> Proxy:
    return the_redis(deployment).proxy


def _to_source(deployment: Deployment, draw: Random) -> Proxy:
    return deployment.source


EVERYWHERE: dict[str, Fault] = {
    "ingest killed": down(the_ingest, by_kill=True), "ingest stopped": down(the_ingest, by_kill=False), "ingest paused": paused(the_ingest),
    "feed cut": proxied(_to_source, "cut"), "feed stalled": proxied(_to_source, "stalled"), "feed slow": proxied(_to_source, "slow"),
    "clock stepped": clock_stepped(a_process),
    "few file descriptors": without_files, "little memory": without_memory, "model promoted": promoted,
}  # fmt: skip
SERVERS: dict[str, Fault] = {
    "worker killed": down(a_worker, by_kill=True), "worker stopped": down(a_worker, by_kill=False), "worker paused": paused(a_worker),
    "broker killed": down(a_broker_s_server, by_kill=True), "broker stopped": down(a_broker_s_server, by_kill=False),
    "broker cut": proxied(_to_broker, "cut"), "broker stalled": proxied(_to_broker, "stalled"), "broker slow": proxied(_to_broker, "slow"),
    "redis restarted": redis_restarted, "redis emptied": redis_emptied, "redis out of memory": redis_read_only,
    "redis cut": proxied(_to_redis, "cut"), "redis stalled": proxied(_to_redis, "stalled"), "redis slow": proxied(_to_redis, "slow"),
    "redis failed over": redis_failed_over,
}  # fmt: skip


def faults_of(deployment: Deployment) -> dict[str, Fault]:
    """Return the faults that can happen to a deployment on this machine, by name."""
    found = dict(EVERYWHERE) | (SERVERS if deployment.cluster else {})
    disks = [broker.disk for broker in deployment.cluster.brokers] if deployment.cluster else [deployment.disk]
    if all(disk is not None and disk.is_mounted for disk in disks):
        found |= {"broker's disk full": broker_disk_full} if deployment.cluster else {"disk full": disk_full}
    else:
        print("left out: a full disk, since this machine lets us mount no small one", flush=True)
    if deployment.feed.misbehaves:
        found["feed answers badly"] = feed_fault
    return found


LONGEST_SECONDS = {"worker paused": 20.0, "ingest paused": 12.0}
USUAL_SECONDS = 4.0


def hold(name: str, draw: Random) -> float:
    """Draw how many seconds a fault lasts."""
    return draw.uniform(0.0, LONGEST_SECONDS.get(name, USUAL_SECONDS))


def happen(fault: Fault, name: str, deployment: Deployment, draw: Random) -> None:
    """Let a fault happen, last, and end."""
    seconds = hold(name, draw)
    with fault(deployment, draw):
        time.sleep(seconds)

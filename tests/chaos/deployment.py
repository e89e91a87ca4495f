"""The processes and servers of a deployment, as faults find them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ingest.bus import Log, open_log
from models.registry import Registry
from stream.store import Store, open_store
from tests.chaos.feeds import ShownFeed
from tests.chaos.process import ManagedProcess
from tests.chaos.servers import KafkaCluster, RedisPair, SmallDisk
from tests.support.proxy import Proxy

KINDS = ("embedded", "kafka", "cluster")
"""`up` on one file; one broker, one Redis, `ingest` and three workers; the same with three brokers, a replica and a sentinel."""
WORKERS = 3
POLL_SECONDS = "1"
FILE_DISK_BYTES = 256 * 1024 * 1024


class Deployment(NamedTuple):
    """What faults can hit, and where the harness reads."""

    kind: str
    feed: ShownFeed
    source: Proxy
    """Between the feed and who polls it."""
    ingest: ManagedProcess
    workers: list[ManagedProcess]
    cluster: KafkaCluster | None
    redis: RedisPair | None
    disk: SmallDisk | None
    """The embedded log's."""
    inside_url: str
    """The log's URL for the harness."""
    folder: Path

    @property
    def processes(self) -> list[ManagedProcess]:
        return [*self.workers, *([] if self.ingest in self.workers else [self.ingest])]

    @property
    def models(self) -> Path:
        """Return the folder of models that can be promoted."""
        return self.folder / "models"

    def open_log(self) -> Log:
        return open_log(self.inside_url)

    def open_store(self) -> Store:
        return open_store(self.redis.inside_url if self.redis else self.inside_url)


@contextmanager
def deployed(kind: str, feed: ShownFeed, control: str | None) -> Iterator[Deployment]:
    """Start a deployment, and stop it at the end.

    Args:
        kind: one of `KINDS`.
        control: the promise that the processes break; None for none.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quakecast-chaos-")))
        add_second_model(folder / "models")
        source = Proxy(int(feed.address.rpartition(":")[2]))
        stack.callback(source.close)
        polls = ["--usgs", f"http://127.0.0.1:{source.port}", "--poll-seconds", POLL_SECONDS]
        if kind == "embedded":
            disk = SmallDisk(folder / "disk", FILE_DISK_BYTES)
            stack.callback(disk.close)
            url = f"sqlite:///{disk.folder}/quakecast.db"
            one = ManagedProcess("up", ["up", "--bus", url, "--port", "0", "--no-outlooks", *polls], folder, control)
            found = Deployment(kind, feed, source, one, [one], None, None, disk, url, folder)
        else:
            cluster, redis = KafkaCluster(folder, 3 if kind == "cluster" else 1), RedisPair(folder)
            stack.callback(cluster.close)
            stack.callback(redis.close)
            bus = ["--bus", cluster.url]
            ingest = ManagedProcess("ingest", ["ingest", *bus, *polls], folder, control)
            share = ["forecast", *bus, "--store", redis.url]
            workers = [ManagedProcess(f"worker-{n}", share, folder, control) for n in range(1, WORKERS + 1)]
            found = Deployment(kind, feed, source, ingest, workers, cluster, redis, None, cluster.inside_url, folder)
        found.open_log().create_topics()
        for process in found.processes:
            stack.callback(process.kill)
            process.start()
        yield found


def add_second_model(registry: Path) -> str:
    """Add the built-in forecaster, with its weights changed a little, to a registry. Returns its name."""
    import torch

    from models.artifact import read_forecaster, write_forecaster

    network, card = read_forecaster()
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(1.001)
    fields = {name: getattr(card, name) for name in ("data", "options", "training", "scores", "notes")}
    with tempfile.TemporaryDirectory() as name:
        write_forecaster(Path(name) / "other", network, fields)
        return Registry(registry).add(Path(name) / "other").name

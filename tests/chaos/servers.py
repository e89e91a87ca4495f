"""Servers that faults can hit: Kafka with one broker or three, each behind a proxy, and Redis with a replica and a sentinel."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import redis

from tests.support.proxy import Proxy
from tests.support.servers import QUICK_START, LocalServer, MissingPart, free_port, java_program, kafka_libraries
from tests.support.waiting import wait_until

NODE = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},INSIDE://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{proxy},INSIDE://127.0.0.1:{inside}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INSIDE
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT
log.dirs={disk}/data
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.num.partitions=5
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.index.size.max.bytes=65536
"""
CLUSTER = "q8kcastChaosCluster01w"
SMALL_DISK_BYTES = 192 * 1024 * 1024
SENTINEL = """\
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor quakecast 127.0.0.1 {first} 1
sentinel down-after-milliseconds quakecast 1500
sentinel failover-timeout quakecast 5000
"""


class SmallDisk:
    """A file system with room for little, where this machine lets us mount one; a plain folder elsewhere."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder, self._filler = folder, folder / "filler"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
        self.is_mounted = shutil.which("mount") is not None and subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        """Leave no room."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(256 * 1024))
            except OSError:
                pass

    def clear(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


class Broker:
    """A node of a Kafka cluster, and the proxy through which clients reach it."""

    def __init__(self, server: LocalServer, inside_port: int, proxy: Proxy, disk: SmallDisk) -> None:
        self.server, self.inside_port, self.proxy, self.disk = server, inside_port, proxy, disk


class KafkaCluster:
    """One broker, or three of which one may be absent (`min.insync.replicas=2`)."""

    def __init__(self, folder: Path, size: int) -> None:
        controllers = [free_port() for _ in range(size)]
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1))
        with ThreadPoolExecutor(size) as pool:  # a node opens its port when most nodes are there
            self.brokers = list(pool.map(lambda number: self._broker(folder, number, voters, size), range(1, size + 1)))

    def _broker(self, folder: Path, number: int, voters: str, size: int) -> Broker:
        home = folder / f"broker-{number}"
        home.mkdir()
        disk, port, inside = SmallDisk(home / "disk", SMALL_DISK_BYTES), free_port(), free_port()
        proxy, settings = Proxy(port), home / "server.properties"
        controller = voters.split(",")[number - 1].rpartition(":")[2]
        settings.write_text(
            NODE.format(
                number=number, voters=voters, port=port, inside=inside, controller=controller, proxy=proxy.port, disk=disk.folder,
                copies=size, in_sync=(size + 1) // 2,
            ),
            encoding="utf-8",
        )  # fmt: skip
        java = [java_program(), "-Xmx512m", *QUICK_START, "-cp", f"{kafka_libraries()}/*"]
        subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(settings)], check=True, capture_output=True)
        return Broker(LocalServer([*java, "kafka.Kafka", str(settings)], port, home), inside, proxy, disk)

    @property
    def url(self) -> str:
        """The log's URL for the processes, through the proxies."""
        return "kafka://" + ",".join(f"127.0.0.1:{broker.proxy.port}" for broker in self.brokers)

    @property
    def inside_url(self) -> str:
        """The log's URL for the harness, past the proxies."""
        return "kafka://" + ",".join(f"127.0.0.1:{broker.inside_port}" for broker in self.brokers)

    def close(self) -> None:
        for broker in self.brokers:
            broker.proxy.close()
            broker.server.kill()
            broker.disk.close()


class RedisPair:
    """A Redis with a replica, and a sentinel that promotes the replica when the first does not answer; clients use one address."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("redis-server") or ""
        if not self._program:
            raise MissingPart("redis-server is missing: apt-get install redis-server")
        self._folder = folder
        first, second, sentinel = free_port(), free_port(), free_port()
        self.servers = {first: self._server(first, ""), second: self._server(second, f"replicaof 127.0.0.1 {first}\n")}
        settings = folder / "sentinel.conf"
        settings.write_text(SENTINEL.format(port=sentinel, folder=folder, first=first), encoding="utf-8")
        self._sentinel_server = LocalServer([self._program, str(settings), "--sentinel"], sentinel, folder)
        self._sentinel = redis.Redis(port=sentinel)
        self.proxy = Proxy(first)
        replica = redis.Redis(port=second)
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "a replica in step")

    def _server(self, port: int, role: str) -> LocalServer:
        """Start a server with a file of settings, in which the sentinel keeps its role over restarts."""
        settings = self._folder / f"redis-{port}.conf"
        text = f'port {port}\nbind 127.0.0.1\nsave ""\nrepl-diskless-sync-delay 0\ndir {self._folder}\n{role}'
        settings.write_text(text, encoding="utf-8")
        return LocalServer([self._program, str(settings)], port, self._folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.proxy.port}/0"

    @property
    def inside_url(self) -> str:
        return f"redis://127.0.0.1:{self.master}/0"

    @property
    def master(self) -> int:
        """Return the port of the server that takes writes, as the clients see it."""
        return self.proxy.target_port

    @property
    def server(self) -> LocalServer:
        """Return the server that takes writes."""
        return self.servers[self.master]

    def follow(self) -> None:
        """Send the clients to the server that the sentinel has chosen, as an address that follows it does."""
        with contextlib.suppress(redis.RedisError):
            chosen: Any = self._sentinel.sentinel_get_master_addr_by_name("quakecast")
            if int(chosen[1]) != self.master:
                self.proxy.target_port = int(chosen[1])
                self.proxy.reset()

    def fail_over(self) -> None:
        """Kill the server that takes writes; wait until clients are sent to its replica, then start it again."""
        lost = self.master
        self.servers[lost].kill()
        wait_until(lambda: self.master != lost, "a promoted replica", meanwhile=self.follow)
        self.servers[lost].start()

    def restart(self) -> None:
        """Kill the server that takes writes, and start it again, empty; the sentinel may be faster, and promote the replica."""
        server = self.server
        server.kill()
        time.sleep(0.3)
        server.start()

    def close(self) -> None:
        self.proxy.close()
        for server in (self._sentinel_server, *self.servers.values()):
            server.kill()

"""Real servers for the tests: an Apache Kafka broker and Redis. If something is missing, the error says what to install."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.waiting import stop_process, wait_until

KAFKA_FOLDER = ROOT / "tests" / "kafka"
LIBRARIES = KAFKA_FOLDER / "target" / "libs"

QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options of Java for a process that does little: the second compiler and parallel collection cost more than they gain."""

_databases = itertools.count(1)

BROKER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners={protocol}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={protocol}://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
security.inter.broker.protocol={protocol}
log.dirs={folder}/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""


WITH_PASSWORD = """\
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="broker" password="between-brokers" user_broker="between-brokers" user_{user}="{password}";
"""


class MissingPart(Exception):
    """Something that the tests need is not installed; the message says what to install."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process accepts connections on a port.

    Raises:
        RuntimeError: the process ended.
    """

    def is_open() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it accepted a connection")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(is_open, f"a server on port {port}")


class LocalServer:
    """A server on a port of this machine, which a test may kill and start again.

    Args:
        command: the program and its arguments; it runs in the folder, and its output goes to `server.log` there.
        port: where it listens.
    """

    def __init__(self, command: list[str], port: int, folder: Path) -> None:
        self._command, self._port, self._folder = command, port, folder
        self.start()

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the process, and wait until it accepts connections."""
        with (self._folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)
        wait_for_port(self._port, self.process)

    def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the process by SIGTERM."""
        stop_process(self.process)


@contextmanager
def own_redis(*settings: str) -> Iterator[LocalServer]:
    """Run a Redis on a free port, without persistence.

    Args:
        settings: further ones, as on its command line; `PORT` stands for the port.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise MissingPart("redis-server is missing: apt-get install redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="quakecast-redis-") as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--databases", "4096"]
        command += ["--save", "", "--appendonly", "no"]
        command += [setting.replace("PORT", str(port)) for setting in settings]
        server = LocalServer(command, port, Path(folder))
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis as `own_redis` does; yield its URL."""
    with own_redis() as server:
        yield f"redis://{server.address}/0"


def new_database(server: str) -> str:
    """Return the URL of a database that no other caller has, on the same Redis as another URL."""
    return f"{server.rpartition('/')[0]}/{next(_databases)}"


@contextmanager
def own_kafka(
    login: tuple[str, str] | None = None, *, secured: str = "", first_users: Mapping[str, str] | None = None
) -> Iterator[LocalServer]:
    """Run one KRaft node with its data in a temporary folder.

    Args:
        login: the one user and password that the broker lets in (SASL/PLAIN).
        secured: settings of a broker with TLS, users and rights (SASL_SSL).
        first_users: users that the cluster has from the beginning, with their passwords (SCRAM-SHA-512).
    """
    port, controller_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="quakecast-kafka-") as name:
        folder = Path(name)
        settings = folder / "server.properties"
        protocol = "SASL_SSL" if secured else "PLAINTEXT" if login is None else "SASL_PLAINTEXT"
        text = BROKER.format(port=port, controller_port=controller_port, folder=folder, protocol=protocol)
        more = secured if login is None else WITH_PASSWORD.format(user=login[0], password=login[1])
        settings.write_text(text + more, encoding="utf-8")
        java = [java_program(), "-Xmx768m", *QUICK_START, "-cp", f"{kafka_libraries()}/*"]
        identity = ["kafka.tools.StorageTool", "format", "-t", "q8kcastTestsCluster1w", "-c", str(settings)]
        for user, password in (first_users or {}).items():
            identity += ["-S", f"SCRAM-SHA-512=[name={user},password={password}]"]
        subprocess.run([*java, *identity], check=True, capture_output=True, cwd=folder)
        server = LocalServer([*java, "kafka.Kafka", str(settings)], port, folder)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def kafka_broker(login: tuple[str, str] | None = None) -> Iterator[str]:
    """Run a broker as `own_kafka` does, or use the one that `QUAKECAST_TEST_KAFKA` (host:port) names; yield host:port."""
    if login is None and (named := os.environ.get("QUAKECAST_TEST_KAFKA")):
        yield named
        return
    with own_kafka(login) as server:
        yield server.address


def java_program() -> str:
    program = shutil.which("java")
    if program is None:
        raise MissingPart("java is missing: apt-get install openjdk-17-jre-headless maven (or name a broker with QUAKECAST_TEST_KAFKA)")
    return program


def kafka_libraries() -> Path:
    """Return the folder of the broker's libraries; the first of several processes fetches them, the others wait."""
    with (KAFKA_FOLDER / "pom.xml").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not any(LIBRARIES.glob("kafka-tools-[0-9]*.jar")):
            if shutil.which("mvn") is None:
                raise MissingPart("mvn is missing: apt-get install maven (or name a broker with QUAKECAST_TEST_KAFKA)")
            goal = ["dependency:copy-dependencies", "-DoutputDirectory=target/libs"]
            subprocess.run(["mvn", "-q", "-B", "-f", str(KAFKA_FOLDER / "pom.xml"), *goal], check=True)
    return LIBRARIES

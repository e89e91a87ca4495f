"""docker-compose.yml: its settings, and each of our services as a process with the command and environment of the file."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, Log, Record
from stream.records.forecast import decode_forecast
from stream.store import open_store
from tests.support.confined import confined, refusal
from tests.support.documents import blocks
from tests.support.paths import ROOT
from tests.support.servers import QUICK_START, free_port, java_program, kafka_libraries, new_database, wait_for_port
from tests.support.stand_ins import environment, now, program, small_sequence, usgs
from tests.support.waiting import PATIENCE_SECONDS, stop_process, wait_until

FILE = ROOT / "docker-compose.yml"
SERVERS, OURS, OBSERVERS = ("kafka", "redis"), ("ingest", "forecast", "outlook", "serve", "retrain"), ("prometheus", "grafana")
TOKEN = "compose-test-token-of-enough-length"


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def entrypoint() -> list[str]:
    """Return the words that the image puts before a service's command."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("ENTRYPOINT ")]
    return list(json.loads(line.removeprefix("ENTRYPOINT ")))


def test_the_file_is_valid_by_the_compose_specification() -> None:
    checked = subprocess.run(
        [program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_kafka_is_the_image_of_apache_in_kraft_mode_and_keeps_its_data(compose: Any) -> None:
    kafka = compose["services"]["kafka"]
    assert kafka["image"].startswith("apache/kafka:")
    assert set(kafka["environment"]["KAFKA_PROCESS_ROLES"].split(",")) == {"broker", "controller"}
    assert not any("zookeeper" in str(part).lower() for part in compose["services"].items())
    assert kafka["environment"]["KAFKA_LOG_DIRS"] in mounts(kafka)


def test_redis_persists_every_write(compose: Any) -> None:
    redis = compose["services"]["redis"]
    assert redis["image"].startswith("redis:")
    assert redis["command"][redis["command"].index("--appendonly") + 1] == "yes"
    assert "/data" in mounts(redis)


def test_every_service_is_restarted_and_watched_and_every_volume_is_declared(compose: Any) -> None:
    assert set(compose["services"]) == {*SERVERS, *OURS, *OBSERVERS}
    for name, service in compose["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
    sources = {volume.partition(":")[0] for service in compose["services"].values() for volume in service.get("volumes", ())}
    assert {source for source in sources if not source.startswith("./")} == set(compose["volumes"])
    assert all((ROOT / source).exists() for source in sources if source.startswith("./"))


def test_images_of_others_have_a_fixed_version(compose: Any) -> None:
    for name in (*SERVERS, *OBSERVERS):
        assert re.search(r":v?\d[\w.-]*$", compose["services"][name]["image"]), name


def test_base_images_have_an_exact_version() -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(bases) == 2
    assert all(re.search(r":\d+\.\d+\.\d+-slim$", base) for base in bases), bases


def test_no_service_can_write_outside_its_volumes_or_gain_rights(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name
        assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & set(service), name
        assert not any("docker.sock" in volume for volume in service.get("volumes", ())), name


def test_no_service_of_ours_or_of_the_observers_runs_as_root(compose: Any) -> None:
    """The image of Kafka has a user of its own already."""
    users = [line.split()[1] for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if line.startswith("USER ")]
    assert users == ["quakecast"]
    assert {compose["services"][name]["user"] for name in ("redis", *OBSERVERS)} == {"redis", "nobody", "472"}
    assert not any("user" in compose["services"][name] for name in OURS)


def test_prometheus_and_grafana_start_only_with_their_profile(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert service.get("profiles", []) == (["observability"] if name in OBSERVERS else []), name


def test_no_port_is_open_beyond_this_machine(compose: Any) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_token_is_a_secret_and_in_no_environment(compose: Any) -> None:
    assert compose["secrets"] == {"quakecast_token": {"environment": "QUAKECAST_TOKEN"}}
    for name, service in compose["services"].items():
        assert ("quakecast_token" in service.get("secrets", ())) == (name in ("serve", "prometheus")), name
        assert not any("TOKEN" in variable for variable in service.get("environment", ())), name


def test_prometheus_scrapes_every_process_with_metrics(compose: Any) -> None:
    configuration = yaml.safe_load((ROOT / "docs/operations/prometheus.yml").read_text(encoding="utf-8"))
    scraped = {target for job in configuration["scrape_configs"] for one in job.get("static_configs", ()) for target in one["targets"]}
    scraped |= {
        f"{name}:{one['port']}" for job in configuration["scrape_configs"] for one in job.get("dns_sd_configs", ()) for name in one["names"]
    }
    port = compose["services"]["forecast"]["environment"]["QUAKECAST_METRICS_PORT"]
    with_metrics = {f"{name}:{port}" for name in OURS if name not in ("serve", "retrain")}
    assert scraped == with_metrics | {"serve:8080"}
    (serve,) = [job for job in configuration["scrape_configs"] if job["job_name"] == "quakecast-serve"]
    token_file = compose["services"]["serve"]["command"][compose["services"]["serve"]["command"].index("--token-file") + 1]
    assert serve["authorization"]["credentials_file"] == token_file


def test_grafana_finds_its_dashboard_and_its_prometheus(compose: Any) -> None:
    folder = ROOT / "docs/operations/grafana"
    (provider,) = yaml.safe_load((folder / "provisioning/dashboards/quakecast.yml").read_text(encoding="utf-8"))["providers"]
    assert f"./docs/operations/grafana/dashboards:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]
    (source,) = yaml.safe_load((folder / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    dashboard = json.loads((folder / "dashboards/quakecast.json").read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_our_services_wait_for_healthy_servers(compose: Any) -> None:
    for name in OURS:
        assert compose["services"][name]["depends_on"] == {server: {"condition": "service_healthy"} for server in SERVERS}


def test_the_forecaster_can_be_scaled(compose: Any) -> None:
    assert not {"container_name", "ports", "hostname"} & set(compose["services"]["forecast"])


def test_retrained_models_are_written_where_the_forecasters_read_them(compose: Any) -> None:
    for name in ("forecast", "outlook", "retrain"):
        assert compose["services"][name]["environment"]["QUAKECAST_MODELS"] in mounts(compose["services"][name])
    assert "--every-days" in compose["services"]["retrain"]["command"]


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return dict(pair.split("=", 1) for line in lines if line.startswith("ENV ") for pair in line.split()[1:])


def mounts(service: Any) -> set[str]:
    return {volume.split(":")[1] for volume in service["volumes"]}


def test_the_broker_starts_with_the_settings_of_the_file(compose: Any, tmp_path: Path) -> None:
    """`KAFKA_NODE_ID` becomes `node.id`, as in the image; only hosts, ports and folder are those of this machine."""
    settings = {name: str(value) for name, value in compose["services"]["kafka"]["environment"].items()}
    cluster, port, controller = settings.pop("CLUSTER_ID"), free_port(), free_port()
    places = {"//kafka:9092": f"//127.0.0.1:{port}", "@kafka:9093": f"@127.0.0.1:{controller}", "//:9092": f"//127.0.0.1:{port}",
              "//:9093": f"//127.0.0.1:{controller}", settings["KAFKA_LOG_DIRS"]: str(tmp_path / "data")}  # fmt: skip
    lines = [
        f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={with_replacements(value, places)}" for name, value in settings.items()
    ]
    file = tmp_path / "server.properties"
    file.write_text("\n".join(lines), encoding="utf-8")
    java = [java_program(), "-Xmx512m", *QUICK_START, "-cp", f"{kafka_libraries()}/*"]
    subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(file)], check=True, capture_output=True)
    process = subprocess.Popen([*java, "kafka.Kafka", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        event_log = open_log(f"kafka://127.0.0.1:{port}")
        event_log.create_topics()
        assert set(event_log.ends(EVENTS).values()) == {0}
        event_log.close()
    finally:
        stop_process(process)


def with_replacements(value: str, replacements: dict[str, str]) -> str:
    for there, here in replacements.items():
        value = value.replace(there, here)
    return value


class Machine:
    """The services of the file as processes, with its commands and its environment."""

    def __init__(self, compose: Any, kafka: str, redis: str, feed: str, folder: Path) -> None:
        self.bus = f"kafka://{kafka}/compose-{folder.name}"
        self.store = new_database(redis)
        (folder / "token").write_text(TOKEN, encoding="utf-8")
        self.port, self.metrics_ports = free_port(), dict[str, int]()
        self._places = {
            "kafka://kafka:9092": self.bus, "redis://redis:6379/0": self.store, "${QUAKECAST_CONTACT:-}": "",
            "/run/secrets/quakecast_token": str(folder / "token"), "8080": str(self.port), "0.0.0.0": "127.0.0.1",
        }  # fmt: skip
        self._services, self._feed, self._folder = compose["services"], feed, folder
        self._writable = folder / "writable"
        self._writable.mkdir()
        self._is_confined = refusal(self._writable) is None

    def environment(self, service: str) -> dict[str, str]:
        given = {name: with_replacements(str(value), self._places) for name, value in self._services[service]["environment"].items()}
        given |= {name: value.replace("/tmp", str(self._writable)) for name, value in image_environment().items()}
        given["TMPDIR"] = str(self._writable)
        self.metrics_ports[service] = free_port()
        return environment(QUAKECAST_USGS=self._feed, **(given | {"QUAKECAST_METRICS_PORT": str(self.metrics_ports[service])}))

    def command(self, service: str) -> list[str]:
        given = [with_replacements(word, self._places) for word in self._services[service]["command"]]
        name, *fixed = entrypoint()
        return self._as_in_a_container(program(name), *fixed, *given)

    def _as_in_a_container(self, *command: str) -> list[str]:
        """Return a command that runs another with a read-only file system and without capabilities, where this machine allows that."""
        return confined(self._writable, *command) if self._is_confined else list(command)

    @contextmanager
    def running(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self._folder / f"{service}.err").open("ab") as errors:
            process = subprocess.Popen(self.command(service), env=self.environment(service), cwd=self._folder, stderr=errors)
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def log_lines(self, service: str) -> str:
        return (self._folder / f"{service}.err").read_text(encoding="utf-8")

    def get(self, path: str, token: str | None = TOKEN) -> tuple[int, bytes]:
        """Return status and body of an answer of the API; status 0 before it answers."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except urllib.error.URLError:
            return 0, b""

    def metrics(self, service: str) -> str:
        """Return the metrics of a service as text; empty before it listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_ports[service]}/metrics") as answer:
                text: str = answer.read().decode()
        except urllib.error.URLError:
            return ""
        return text

    def lag(self) -> set[float]:
        """Return the lags of the partitions in the metrics of the API."""
        lines = [line for line in self.get("/metrics")[1].decode().splitlines() if line.startswith("quakecast_consumer_lag_records{")]
        return {float(line.rpartition(" ")[2]) for line in lines}

    def check_health(self, service: str) -> None:
        """Run the health check of a service. It must succeed within its time limit, counted in processor time: the machine may be busy."""
        check = self._services[service]["healthcheck"]
        assert check["test"][0] == "CMD"
        name, *arguments = (with_replacements(word, self._places) for word in check["test"][1:])
        seconds = float(check["timeout"].removesuffix("s"))
        before = processor_seconds_of_children()
        command, environment = self._as_in_a_container(program(name), *arguments), self.environment(service)
        checked = subprocess.run(
            command, env=environment, cwd=self._folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert checked.returncode == 0, f"{service}: {checked.stdout}{checked.stderr}"
        assert processor_seconds_of_children() - before < seconds, service


def test_a_confined_program_writes_to_its_temporary_folder_only_and_has_no_capabilities(tmp_path: Path) -> None:
    """The services run so, see `Machine`. What is compiled and drawn goes to the folders that the image names."""
    if (why := refusal(tmp_path)) is not None:
        pytest.skip(f"a read-only file system cannot be tried here: {why}")
    code = f"""if True:
        import models.baselines, models.figures, models.place, os, pathlib
        assert "CapEff:\t0000000000000000" in pathlib.Path("/proc/self/status").read_text()
        pathlib.Path("{tmp_path}/written").write_text("x")
        for folder in ("{tmp_path.parent}", "{ROOT}", os.path.expanduser("~"), "/var/tmp"):
            try:
                pathlib.Path(folder, "written").write_text("x")
            except OSError:
                continue
            raise AssertionError(folder)
    """
    caches = {name: value.replace("/tmp", str(tmp_path)) for name, value in image_environment().items()}
    ran = subprocess.run(
        confined(tmp_path, sys.executable, "-c", code), env=environment(**caches), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_unit_for_systemd_puts_caches_where_the_image_does() -> None:
    """Its file system is read-only too, and numba does not start without a folder for what it compiles."""
    (unit,) = blocks((ROOT / "docs" / "operators.md").read_text(encoding="utf-8"), "ini")
    given = dict(pair.split("=", 1) for line in unit.splitlines() if line.startswith("Environment=") for pair in line[12:].split())
    assert image_environment().items() <= given.items()
    assert "PrivateTmp=yes" in unit
    assert "ProtectSystem=strict" in unit


def processor_seconds_of_children() -> float:
    """Return the processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def first_line_of_the_documented_consumer(kafka: str, machine: Machine) -> str:
    (found,) = [
        block for block in blocks((ROOT / "docs" / "consumers.md").read_text(encoding="utf-8"), "python") if "KafkaConsumer" in block
    ]
    topic = f"{machine.bus.rpartition('/')[2]}.forecasts"
    code = with_replacements(found, {"kafka:9092": kafka, "quakecast.forecasts": topic, "my-alerts": topic})
    with subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            return process.stdout.readline()
        finally:
            process.kill()


def all_are_running(*processes: subprocess.Popen[bytes]) -> bool:
    return all(process.poll() is None for process in processes)


def records(event_log: Log, topic: str) -> Iterator[Record]:
    starts, ends = event_log.starts(topic), event_log.ends(topic)
    for partition, end in ends.items():
        yield from event_log.read(topic, partition, starts[partition], end)


def test_each_service_runs_by_its_own_command_is_healthy_and_ends_cleanly(compose: Any, kafka: str, redis: str) -> None:
    with tempfile.TemporaryDirectory(prefix="quakecast-compose-") as folder, usgs(small_sequence(now().plus(days=-1))) as feed:
        machine = Machine(compose, kafka, redis, feed, Path(folder))
        with (
            machine.running("ingest") as ingest,
            machine.running("forecast") as forecast,
            machine.running("forecast") as second,
            machine.running("serve") as serve,
        ):
            event_log, store = open_log(machine.bus), open_store(machine.store)
            wait_until(lambda: len(store.forecasts()) >= 4 or not all_are_running(ingest, forecast, second), "four regions' forecasts")
            assert first_line_of_the_documented_consumer(kafka, machine).startswith(tuple(store.forecasts()))
            wait_until(lambda: machine.get("/readyz")[0] == 200 or serve.poll() is not None, "the API is ready")
            assert machine.get("/readyz", token=None)[0] == 401
            wait_until(lambda: machine.lag() == {0.0}, "no lag, though transaction markers take offsets")
            for service, metric in (("ingest", "quakecast_feed_polls_total{"), ("forecast", "quakecast_batch_records_count")):
                assert metric in machine.metrics(service)
            with machine.running("outlook") as outlook:
                wait_until(lambda: "quakecast_outlooks_total" in machine.metrics("outlook"), "the metrics of the outlook service")
                outlook.send_signal(signal.SIGTERM)
                assert outlook.wait(PATIENCE_SECONDS) == 0, machine.log_lines("outlook")
            for service in OURS:
                machine.check_health(service)
            for service, process in (("forecast", forecast), ("forecast", second), ("ingest", ingest), ("serve", serve)):
                assert process.poll() is None, machine.log_lines(service)
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0, machine.log_lines(service)
                assert "Traceback" not in machine.log_lines(service)
        assert sum(1 for _ in records(event_log, EVENTS)) > 50
        forecasts = [decode_forecast(record.value) for record in records(event_log, FORECASTS)]
        assert {"alaska", "california", "hawaii", "puerto-rico"} <= {forecast.region for forecast in forecasts}
        assert len({forecast.id for forecast in forecasts}) == len(forecasts)
        event_log.close()
        store.close()


def test_the_build_context_has_all_files_of_the_image() -> None:
    included = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")]
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    for source in (source for sources in copies for source in sources):
        assert source in included or source.partition("/")[0] in included
        assert (ROOT / source).exists()

"""A broker and a Redis with TLS, users and rights, made by the commands that docs/operators.md gives to operators."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import redis

from tests.support.documents import blocks
from tests.support.paths import ROOT
from tests.support.servers import QUICK_START, MissingPart, java_program, kafka_libraries, own_kafka, own_redis
from tests.support.stand_ins import environment

USERS = ("ingest", "forecast", "outlook", "serve", "operator")
TOOLS = {"kafka-acls.sh": "org.apache.kafka.tools.AclCommand", "kafka-configs.sh": "kafka.admin.ConfigCommand"}
BROKER_PASSWORD, ADMIN_PASSWORD = "between-brokers", "of-the-administrator"


def password_of(user: str) -> str:
    return f"0{len(user)}-{user}-not-a-real-secret"


def handbook_block(language: str, containing: str) -> str:
    """Return the one block of the operators' handbook that contains a text."""
    text = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    (found,) = [block for block in blocks(text, language) if containing in block]
    return found


def make_certificates(folder: Path, name: str = "broker") -> None:
    """Make an authority (`ca.pem`), and the key and certificate of a server on this machine (`NAME.pem`, `NAME.key`, `NAME.crt`)."""
    if shutil.which("openssl") is None:
        raise MissingPart("openssl is missing: apt-get install openssl")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1", encoding="utf-8")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")
    (folder / f"{name}.pem").write_text("".join((folder / f"{name}.{end}").read_text(encoding="utf-8") for end in ("key", "crt")))


class SecuredKafka(NamedTuple):
    """A broker that knows `USERS`, each with the rights of its process."""

    address: str
    folder: Path

    def url(self, user: str, **options: str) -> str:
        """Return the log's URL for a user, with its password: for use within the process."""
        login = {"sasl_plain_username": user, "sasl_plain_password": password_of(user), "ssl_cafile": str(self.folder / "ca.pem")}
        how = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "bootstrap_timeout_ms": "60000"}
        return f"kafka://{self.address}?{urlencode({name: value for name, value in (how | login | options).items() if value})}"

    def environment(self, user: str, **settings: str) -> dict[str, str]:
        """Return the environment of a user's process, as the handbook writes it."""
        lines = handbook_block("sh", "QUAKECAST_KAFKA_SASL_PLAIN_USERNAME").splitlines()
        given = dict(line.partition(" ")[0].split("=", 1) for line in lines)
        given["QUAKECAST_BUS"] = given["QUAKECAST_BUS"].strip("'").replace("broker:9093", self.address)
        login = {"USERNAME": user, "PASSWORD": password_of(user)}
        mine = {f"QUAKECAST_KAFKA_SASL_PLAIN_{name}": value for name, value in login.items()}
        assert set(mine) <= set(given)
        return environment(**(given | mine | {"QUAKECAST_KAFKA_SSL_CAFILE": str(self.folder / "ca.pem")} | settings))


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Run a broker with the handbook's settings, and give it users and rights by the handbook's commands."""
    make_certificates(folder)
    places = {
        "/etc/kafka": str(folder),
        'password="BROKER"': f'password="{BROKER_PASSWORD}"',
        'password="ADMIN"': f'password="{ADMIN_PASSWORD}"',
    }
    settings = _replaced(handbook_block("properties", "authorizer.class.name"), places)
    settings = "\n".join(line for line in settings.splitlines() if not line.startswith("listeners="))  # ports are those of the test
    with own_kafka(secured=settings, first_users={"broker": BROKER_PASSWORD, "admin": ADMIN_PASSWORD}) as server:
        (folder / "admin.properties").write_text(_replaced(handbook_block("properties", 'username="admin"'), places), encoding="utf-8")
        for user in USERS:
            (folder / f"{user}.password").write_text(password_of(user), encoding="utf-8")
        for name, main_class in TOOLS.items():
            _write_tool(folder / name, main_class)
        commands = handbook_block("bash", "kafka-acls.sh").replace("broker:9093", server.address)
        subprocess.run(
            ["bash", "-euc", commands], check=True, cwd=folder, env=os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        )
        yield SecuredKafka(server.address, folder)


class SecuredRedis(NamedTuple):
    """A Redis with TLS that knows the users `forecast` and `serve` of the handbook, and lets nobody in without a password."""

    address: str
    folder: Path

    def url(self, user: str, password: str | None = None, database: int = 0) -> str:
        return f"rediss://{user}:{password or password_of(user)}@{self.address}/{database}?ssl_ca_certs={self.folder}/ca.pem"

    def client(self, user: str = "admin") -> redis.Redis:
        """Return a connection of a user; `admin` may do everything."""
        return redis.Redis.from_url(self.url(user))


@contextmanager
def secured_redis(folder: Path) -> Iterator[SecuredRedis]:
    """Run a Redis with TLS, and give it users by the handbook's commands."""
    make_certificates(folder)
    files = ("--tls-cert-file", f"{folder}/broker.crt", "--tls-key-file", f"{folder}/broker.key", "--tls-ca-cert-file", f"{folder}/ca.pem")
    with own_redis("--port", "0", "--tls-port", "PORT", *files, "--tls-auth-clients", "no") as server:
        for user in ("forecast", "serve"):
            (folder / f"{user}.password").write_text(password_of(user), encoding="utf-8")
        login = f"redis-cli --no-auth-warning --tls --cacert ca.pem -p {server.address.rpartition(':')[2]}"
        first = f"{login} ACL SETUSER admin on '>{password_of('admin')}' '~*' '&*' +@all"
        again = f"{login} --user admin --pass {password_of('admin')}"
        commands = f"{first}\n" + handbook_block("sh", "ACL SETUSER").replace("redis-cli", again)
        done = subprocess.run(["bash", "-euc", commands], check=True, cwd=folder, capture_output=True, text=True)
        assert done.stdout.split() == ["OK"] * 4, done.stdout
        yield SecuredRedis(server.address, folder)


def _write_tool(path: Path, main_class: str) -> None:
    """Write one of the broker's command line tools: its distribution has them, the jars of the tests have only the classes."""
    java = f"{java_program()} {' '.join(QUICK_START)} -cp '{kafka_libraries()}/*'"
    path.write_text(f'#!/bin/sh\nexec {java} {main_class} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def _replaced(text: str, places: dict[str, str]) -> str:
    for there, here in places.items():
        assert there in text or not there.startswith("/"), there
        text = text.replace(there, here)
    return text


def command(*words: str) -> list[str]:
    """Return a command of this working tree, run by `python -m`."""
    return [sys.executable, "-m", "stream.cli", *words]


def spoken_lines(errors: str) -> list[str]:
    """Return the lines on standard error that are not the log's: the one line of a `Problem`, or a traceback."""
    return [line for line in errors.splitlines() if not line.startswith("{")]

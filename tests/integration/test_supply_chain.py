"""`make sbom` and `make audit`: what the program is made of, and whether weaknesses of it are known."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_http import QuietHandler, serving
from tests.support.paths import ROOT
from tests.support.stand_ins import environment

WEAK = "pyyaml"
VALIDATE = """\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read()) or "") or None)
"""
"""Runs where the tools are. The bill of the Python packages is validated as it is written."""


def make(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", *words], cwd=ROOT, env=environment(**settings), capture_output=True, text=True, check=False
    )  # fmt: skip


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder to which `make sbom` has written."""
    folder = tmp_path_factory.mktemp("sbom")
    made = make("sbom", f"SBOM_FOLDER={folder}")
    assert made.returncode == 0, made.stderr
    return folder


def components(file: Path) -> dict[str, str]:
    """Return the components of a bill of materials: version by name."""
    return {normalized(f"{one.get('group', '')}/{one['name']}".lstrip("/")): one["version"] for one in document(file)["components"]}


def document(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_bill_of_the_page_is_valid_cyclonedx(written: Path) -> None:
    with (written / "sbom-page.json").open("rb") as bill:
        checked = subprocess.run([ROOT / ".venv-audit/bin/python", "-c", VALIDATE], stdin=bill, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert document(written / "sbom-python.json")["bomFormat"] == "CycloneDX"


def test_every_installed_package_is_listed_in_its_pinned_version(written: Path) -> None:
    listed = components(written / "sbom-python.json")
    installed = {normalized(one.metadata["Name"]): one.version for one in importlib.metadata.distributions()}
    assert {name: version for name, version in installed.items() if name != "quakecast"} == listed
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {(normalized(name), version) for name, version in pins}
    unpinned = {(name, version.partition("+")[0]) for name, version in listed.items()} - pinned
    assert {name for name, _ in unpinned} <= {"pip", "wheel"}  # which come with an environment


def test_every_package_of_the_page_is_listed(written: Path) -> None:
    lock = document(ROOT / "stream/serve/page/package-lock.json")["packages"]
    locked = {normalized(path.rpartition("node_modules/")[2]): one["version"] for path, one in lock.items() if path}
    listed = components(written / "sbom-page.json")
    assert {name: version for name, version in locked.items() if listed.get(name) != version} == {}


@contextmanager
def advisories(known: dict[str, str]) -> Iterator[str]:
    """Answer both tools; `known` are ids of weaknesses by package. Yield the address."""

    class Handler(QuietHandler):
        def respond(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            asked = None if self.headers["Content-Encoding"] == "gzip" else json.loads(sent)["package"]  # npm packs all names into one
            weakness: dict[str, object] = {"id": known.get(asked["name"]), "summary": "a test", "affected": []} if asked else {}
            body = json.dumps({"vulns": [weakness]} if weakness.get("id") else {}).encode()
            self.answer(200, body)

    with serving(Handler) as address:
        yield address


def audit(address: str) -> subprocess.CompletedProcess[str]:
    return make("audit", f"ADVISORIES=-s osv --osv-url {address}", npm_config_registry=address)


def test_an_audit_without_findings_succeeds_and_one_with_a_finding_names_it() -> None:
    with advisories({}) as address:
        passed = audit(address)
        assert passed.returncode == 0, passed.stderr
        assert "No known vulnerabilities found" in passed.stderr
        assert "found 0 vulnerabilities" in passed.stdout
    with advisories({WEAK: "TEST-1"}) as address:
        failed = audit(address)
        assert failed.returncode != 0
        assert "TEST-1" in failed.stdout
        assert WEAK in failed.stdout.lower()


def test_an_audit_that_cannot_ask_fails() -> None:
    with advisories({}) as address:
        closed = address
    unasked = audit(closed)
    assert unasked.returncode != 0
    assert "No known vulnerabilities" not in unasked.stderr
    only_page = make("audit", "ADVISORIES=--dry-run", npm_config_registry=closed)
    assert only_page.returncode != 0
    assert "found 0 vulnerabilities" not in only_page.stdout

"""Schemathesis over the API's own OpenAPI document, against the real server; the stream is left out, which does not end.

python -m tests.fuzz.openapi --examples 100 --seed 0
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.integration.test_api import explain
from tests.support.api_server import ApiServer, Deployment, serve_deployment
from tests.support.stand_ins import program


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.openapi", description="Schemathesis over the API's OpenAPI document.")
    parser.add_argument("--examples", type=int, default=100, help="for each endpoint and phase")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/log.db")
        deployment.fill()
        with serve_deployment(deployment, explain=explain) as server:
            ran = schemathesis(server, options.examples, options.seed, Path(folder))
    print(ran.stdout)
    return ran.returncode


def schemathesis(server: ApiServer, examples: int, seed: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run all its checks and phases on every endpoint except the stream; it exits with 0 if it finds nothing."""
    more = (
        "--exclude-path",
        "/v1/stream",
        "--max-examples",
        str(examples),
        "--seed",
        str(seed),
        "--no-color",
        "--generation-database",
        "none",
    )
    command = [program("schemathesis"), "run", f"{server.address}/openapi.json", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())

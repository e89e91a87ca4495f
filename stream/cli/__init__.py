"""The command `quakecast`: the composition root, the one place that knows ingest, stream and models."""

from __future__ import annotations

import sys

from ingest.problem import Problem
from stream.cli.application import application


def main() -> None:
    """Exit codes: 0 done, 2 wrong usage, 1 failure with one clear line."""
    try:
        application()
    except Problem as problem:
        sys.stderr.write(f"quakecast: {problem.what}\n           {problem.remedy}\n" if sys.stderr.isatty() else f"quakecast: {problem}\n")
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # who read our output has had enough
        sys.exit(0)

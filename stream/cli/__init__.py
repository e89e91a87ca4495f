"""The command `quakecast`: the composition root, the only package that imports ingest, stream and models."""

from __future__ import annotations

import sys

from ingest.printable import printable
from ingest.problem import Problem
from stream.cli.application import application


def main() -> None:
    """Run the command.

    Exit codes: 0 success; 1 a problem outside the program, of which one line says what is wrong and what to do; 2 wrong usage.
    """
    try:
        application()
    except Problem as problem:
        what, remedy = printable(problem.what), printable(problem.remedy)
        sys.stderr.write(f"quakecast: {what}\n           {remedy}\n" if sys.stderr.isatty() else f"quakecast: {what}; {remedy}\n")
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has closed the pipe
        sys.exit(0)

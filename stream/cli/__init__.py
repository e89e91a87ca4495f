"""The command `quakecast`: the composition root, the only package that imports ingest, stream and models."""

from __future__ import annotations

import sys
from typing import NoReturn

from ingest.printable import printable
from ingest.problem import Problem
from stream.cli.application import application
from stream.cli.ending import end_process


def main() -> NoReturn:
    """Run the command as a process, and end it with the exit code of `run`."""
    end_process(run())


def run() -> int:
    """Run the command.

    Returns:
        0 success; 1 a problem outside the program, of which one line says what is wrong and what to do; 2 wrong usage.
    """
    try:
        application()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Problem as problem:
        what, remedy = printable(problem.what), printable(problem.remedy)
        sys.stderr.write(f"quakecast: {what}\n           {remedy}\n" if sys.stderr.isatty() else f"quakecast: {what}; {remedy}\n")
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has closed the pipe
    return 0

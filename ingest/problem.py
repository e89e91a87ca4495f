"""A problem outside the program: a bad file, option or server. One line says what is wrong, one what to do."""

from __future__ import annotations


class Problem(Exception):
    """Something outside the program is wrong; the command prints `what; remedy` and exits with 1."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class Unavailable(Problem):
    """A server or disk that the program needs is away for now: wait, open it again, read from it what it holds, and go on from there."""

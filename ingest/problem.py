"""A problem that is not ours: a bad file, option, server. One line that says what, one that says what to do."""

from __future__ import annotations


class Problem(Exception):
    """Something outside the program is wrong; the command prints `what; remedy` and exits with 1."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy

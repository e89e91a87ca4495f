"""Makes text from outside safe to print: it can neither move a terminal's cursor, nor start a line, nor turn the direction of writing."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Control characters (C0, DEL, C1), separators of lines, marks of direction, lone surrogates."""


def printable(text: str) -> str:
    """Return a text on one line, its unprintable characters escaped as in JSON strings (`\\u001b`)."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

"""Text from outside on its way into XML."""

from __future__ import annotations

import re

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0, section 2.2: what is no `Char` cannot stand in a document, not even escaped."""


def xml_text(text: str) -> str:
    """The text without characters that XML cannot hold, on one line."""
    return " ".join(_NOT_XML.sub("", text).split())

"""Makes text from outside safe for XML."""

from __future__ import annotations

import re

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) does not allow in a document, not even escaped."""


def xml_text(text: str) -> str:
    """Return the text on one line, without characters that XML does not allow."""
    return " ".join(_NOT_XML.sub("", text).split())

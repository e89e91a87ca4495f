"""Markdown documents as the tests read them: blocks of code, headings, links."""

from __future__ import annotations

import re

from tests.support.paths import ROOT

DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def without_blocks(text: str) -> str:
    """Return the text without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[tuple[str, str]]:
    """Return the target and the anchor of each link into the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))
    return [
        (file, anchor) for target in targets if not target.startswith(("http:", "https:")) for file, _, anchor in [target.partition("#")]
    ]


def shell_lines(text: str) -> list[str]:
    """Return the lines of the shell blocks, continued lines joined."""
    return [line for block in blocks(text, "sh") for line in block.replace("\\\n", "").splitlines()]

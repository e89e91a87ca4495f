"""Folders that the tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project."""
RECORDED = ROOT.parent / "shared"
"""The recorded feed, catalogues and the feed server, if they are there; they are not part of the project."""

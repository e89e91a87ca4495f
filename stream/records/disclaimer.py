"""The disclaimer in every page, feed and export."""

from __future__ import annotations

DISCLAIMER = (
    "Probability forecasts by a statistical model, not predictions: an earthquake can happen at any time without one, or not happen."
)
INSTRUCTION = "Do not base decisions about safety on this. Follow your authorities, and know what to do when the ground shakes."

"""The disclaimer in every page, feed and export, and the sentence that what is not live begins with."""

from __future__ import annotations

from ingest.event import WhyNotLive

DISCLAIMER = (
    "Probability forecasts by a statistical model, not predictions: an earthquake can happen at any time without one, or not happen."
)
INSTRUCTION = "Do not base decisions about safety on this. Follow your authorities, and know what to do when the ground shakes."
NOT_LIVE: dict[WhyNotLive | None, str] = {
    None: "Test, not live.",
    "replay": "Test: a replay of the past, not live.",
    "simulation": "Test: simulated earthquakes, not live.",
    "exercise": "Exercise: a drill, not live.",
    "clock": "Test: from a source with another clock, not live.",
}
"""By why a record is not live; None for records that do not say why."""

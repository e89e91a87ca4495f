"""The mathematics: distributions, networks, training, evaluation, and the models that come with the program."""

from __future__ import annotations

from pathlib import Path

PRETRAINED = Path(__file__).with_name("pretrained")
"""The built-in models: `lstm`, `cnn` and `gan`, a folder each, `baselines.json` and `large_events.json`."""

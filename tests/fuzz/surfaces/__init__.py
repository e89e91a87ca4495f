"""The surfaces, each in a module of its own: `generate` makes an input, `take` passes it to the program.

The weights are chosen so that a million inputs take about an hour of one core; the slow ones come first.
"""

from __future__ import annotations

from tests.fuzz.driver import Surface
from tests.fuzz.surfaces import (
    connections,
    feed_answers,
    geojson,
    model_folders,
    records,
    requests,
    states,
    tables,
    toml_files,
    written_times,
    xml,
)

SURFACES = (
    Surface("xml", 3.0, xml.generate, xml.take),
    Surface("connections", 4.0, connections.generate, connections.take),
    Surface("requests", 18.0, requests.generate, requests.take),
    Surface("model_folders", 3.0, model_folders.generate, model_folders.take),
    Surface("tables", 14.0, tables.generate, tables.take),
    Surface("toml_files", 6.0, toml_files.generate, toml_files.take),
    Surface("feed_answers", 6.0, feed_answers.generate, feed_answers.take),
    Surface("states", 8.0, states.generate, states.take),
    Surface("geojson", 16.0, geojson.generate, geojson.take),
    Surface("records", 14.0, records.generate, records.take),
    Surface("written_times", 10.0, written_times.generate, written_times.take),
)

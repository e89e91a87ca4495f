"""What a forecast says, and the protocol that whoever makes forecasts fulfils.

The stream core knows nothing of networks: a `Forecaster` is four pure functions over an opaque memory (bytes).
`models` implements it; the tests of the core use a small one of their own.
"""

from __future__ import annotations

import msgspec

from ingest.event import decode_hook, decoded
from ingest.instant import Instant

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
HORIZONS_HOURS = {"1h": 1.0, "1d": 24.0, "7d": 168.0, "30d": 720.0}
MAGNITUDES = (4.0, 5.0, 6.0, 7.0)


class Wait(msgspec.Struct, frozen=True):
    """When: the time from `issued_at` to the region's next event at or above completeness, given the silence so far."""

    median_hours: float
    quantiles_hours: dict[str, float]
    """By probability: `"0.05"`, `"0.25"`, `"0.5"`, `"0.75"`, `"0.95"`."""
    probability_within: dict[str, float]
    """By span: `"1h"`, `"1d"`, `"7d"`, `"30d"`."""
    hazard_per_day: float
    """Conditional intensity at `issued_at`, events per day."""


class Magnitude(msgspec.Struct, frozen=True):
    """How large: the magnitude of that next event."""

    median: float
    quantiles: dict[str, float]
    probability_at_least: dict[str, float]
    """By magnitude: `"4"`, `"5"`, `"6"`, `"7"`; 1 below completeness, where the forecast does not reach."""


class Spot(msgspec.Struct, frozen=True):
    """A cell of half a degree, by its middle."""

    latitude: float
    longitude: float
    probability: float
    """That the next event is brought on by one of the recent events there; it then comes near that one, mostly within kilometres."""


class Where(msgspec.Struct, frozen=True):
    """Where: the shares that recent events hold of the rate, now."""

    spots: list[Spot]
    """The likeliest first, at most five."""
    elsewhere: float
    """The rest: near other events, or anywhere in the region."""


class Exceedance(msgspec.Struct, frozen=True):
    """Large ones: at least one event of a magnitude within a span, aftershocks of aftershocks included.

    Both by magnitude (`"4"`, `"5"`, `"6"`, `"7"`; those below completeness are left out), then by span (`"1h"`, `"1d"`, `"7d"`, `"30d"`).
    """

    probability: dict[str, dict[str, float]]
    gain: dict[str, dict[str, float]]
    """The probability over the one that the region's long-run rate alone would give."""


class Score(msgspec.Struct, frozen=True):
    """How the region's forecasts have done so far, as they were in force (see `stream.core.score`); by `"model"` and its rivals' names."""

    since: Instant
    until: Instant
    """All forecasts in force from `since` to here are scored; what came later waits for late news."""
    events: int
    """Earthquakes at or above completeness that came, as known a day later."""
    expected_events: dict[str, float]
    """How many were forecast."""
    log_score_per_event: dict[str, float]
    """(Σ ln hazard at the events − ∫ hazard) / events: nats, hazard in events per day; larger is better."""
    gain_per_event: dict[str, float]
    """By rival, by how much the model's score per event is larger."""
    missed_events: int
    """Became known only after their time was settled: they do not count."""
    withdrawn_events: int
    """Counted, and were deleted or moved away later: they still do."""


class Forecast(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.forecast/1"):
    """The record of the forecasts topic: a probability forecast, never a promise."""

    id: str
    """Region, input partition and input sequence: the same record always gives the same forecast under the same id."""
    region: str
    issued_at: Instant
    cause: str
    """`added`, `updated`, `deleted`, `merged` or `heartbeat`."""
    event_id: str | None
    input_partition: int
    input_sequence: int
    model: str
    magnitude_of_completeness: float
    """The forecast is of the next event of at least this magnitude."""
    events_in_window: int
    last_event_at: Instant | None
    reissue_at: Instant
    wait: Wait
    magnitude: Magnitude
    where: Where | None = None
    exceedance: Exceedance | None = None
    score: Score | None = None
    """None before the first settled earthquake."""
    test: bool = False


def rounded(value: float) -> float:
    """To six significant digits: what is left when the last bits may differ between processors."""
    return float(f"{value:.6g}")


_decoder = msgspec.json.Decoder(Forecast, dec_hook=decode_hook)


def decode_forecast(data: bytes) -> Forecast:
    """A forecast as it stands in the topic.

    Raises:
        msgspec.DecodeError: not JSON, or not a forecast.
    """
    return decoded(_decoder, data)

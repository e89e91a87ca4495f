"""The record of the forecasts topic: when the next event of a region is likely, how large, and where."""

from __future__ import annotations

import msgspec

from ingest.event import decode_hook, decode_with
from ingest.instant import Instant

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
HORIZONS_HOURS = {"1h": 1.0, "1d": 24.0, "7d": 168.0, "30d": 720.0}
MAGNITUDES = (4.0, 5.0, 6.0, 7.0)


class Wait(msgspec.Struct, frozen=True):
    """When: the time from `issued_at` to the region's next event at or above completeness, given that none has come since the last one."""

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
    """By magnitude: `"4"`, `"5"`, `"6"`, `"7"`; 1 for magnitudes below completeness."""


class Spot(msgspec.Struct, frozen=True):
    """A cell of half a degree, given by its centre."""

    latitude: float
    longitude: float
    probability: float
    """Probability that the next event occurs in this cell."""


class Where(msgspec.Struct, frozen=True):
    """Where: the most likely cells, near recent events or where earthquakes come in the long run."""

    spots: list[Spot]
    """At most five, the most likely first."""
    elsewhere: float
    """The remaining probability: in other cells."""


class Exceedance(msgspec.Struct, frozen=True):
    """Large events: the probability of at least one event of a magnitude within a span, aftershocks of aftershocks included.

    Both by magnitude (`"4"`, `"5"`, `"6"`, `"7"`; those below completeness are left out), then by span (`"1h"`, `"1d"`, `"7d"`, `"30d"`).
    """

    probability: dict[str, dict[str, float]]
    gain: dict[str, dict[str, float]]
    """The probability divided by that of the region's long-run rate of such events, from catalogues of a century."""


class Score(msgspec.Struct, frozen=True):
    """Verification of the region's forecasts so far, as they were in force (see `stream.core`); by `"model"` and its rivals' names."""

    since: Instant
    until: Instant
    """The forecasts in force from `since` until here are scored; later ones are not, because some of their events are not known yet."""
    events: int
    """Earthquakes at or above completeness that occurred, as known a day later."""
    expected_events: dict[str, float]
    """The number of earthquakes that was forecast."""
    log_score_per_event: dict[str, float]
    """(Σ ln hazard at the events − ∫ hazard) / events: nats, hazard in events per day; larger is better."""
    gain_per_event: dict[str, float]
    """By rival, the model's score per event minus the rival's."""
    missed_events: int
    """Events that became known only after their time was scored; they do not count."""
    withdrawn_events: int
    """Events that counted and were deleted or moved away later; they still count."""


class Forecast(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.forecast/1"):
    """The record of the forecasts topic: a probability forecast, never a promise."""

    id: str
    """Region, input partition and input sequence: the same input record always gives the same forecast with the same id."""
    region: str
    issued_at: Instant
    cause: str
    """`added`, `updated`, `deleted` or `merged`: the change; `heartbeat`: no event arrived, but time has passed."""
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
    """None before the first earthquake has been scored."""
    test: bool = False


def rounded(value: float) -> float:
    """Round to six significant digits, since the last bits may differ between processors."""
    return float(f"{value:.6g}")


_decoder = msgspec.json.Decoder(Forecast, dec_hook=decode_hook)


def decode_forecast(data: bytes) -> Forecast:
    """Decode a forecast as it stands in the topic.

    Raises:
        msgspec.DecodeError: not JSON, or not a forecast.
    """
    return decode_with(_decoder, data)

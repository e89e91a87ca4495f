"""An example of each record, for the JSON Schemas and the API's documents: one simulated sequence."""

from __future__ import annotations

import msgspec

from ingest.event import Change, DeadLetter, Event, Heartbeat, Outage, Promotion
from ingest.instant import Instant
from stream.records.activation import Activation
from stream.records.alert import Alert, AlertedEarthquake
from stream.records.forecast import Exceedance, Forecast, Magnitude, Score, Spot, Wait, Where
from stream.records.map import GriddedForecast, MapCells
from stream.records.outlook import AboveMainshock, Bin, Observation, OutlookMainshock, OutlookModel, OutlookSpan, RegionOutlook

OBSERVED_AT = Instant.parse("2026-03-01T06:12:00.000Z")
ORIGIN = OBSERVED_AT.plus(seconds=-401.86)
MODEL = "lstm-1f0c9a77d2e4+cnn-7a6077b5d00c"

EVENT = Event(
    "xx00000001", ORIGIN, OBSERVED_AT.plus(seconds=-64.0), 35.705, -117.504, 8.2, 6.1, "mww", "earthquake", "automatic", "xx",
    "18 km W of Searles Valley, CA", ("yy40000001",),
)  # fmt: skip
CHANGE = Change(4_711, "added", "california", OBSERVED_AT, "all_day", EVENT.id, EVENT)
PROMOTION = Promotion(OBSERVED_AT, {"lstm": "lstm-1f0c9a77d2e4"}, reason="trained on two more years")
FORECAST = Forecast(
    "california-0-4711", "california", OBSERVED_AT, "added", EVENT.id, 0, 4_711, MODEL, 2.5, 212, ORIGIN, OBSERVED_AT.plus(seconds=211.0),
    Wait(
        0.00531, {"0.05": 0.000392, "0.25": 0.0022, "0.5": 0.00531, "0.75": 0.0107, "0.95": 0.0241},
        {"1h": 0.9999, "1d": 1.0, "7d": 1.0, "30d": 1.0}, 3_140.0,
    ),
    Magnitude(
        2.91, {"0.05": 2.53, "0.25": 2.68, "0.5": 2.91, "0.75": 3.27, "0.95": 4.08},
        {"4": 0.0597, "5": 0.0063, "6": 0.000631, "7": 0.0000629},
    ),
    Where([Spot(35.75, -117.75, 0.62), Spot(35.75, -117.25, 0.21)], 0.17),
    Exceedance(
        {"5": {"1h": 0.19, "1d": 0.47, "7d": 0.66, "30d": 0.75}, "6": {"1h": 0.021, "1d": 0.064, "7d": 0.11, "30d": 0.14}},
        {"5": {"1h": 1_270.0, "1d": 131.0, "7d": 26.6, "30d": 7.4}, "6": {"1h": 1_400.0, "1d": 178.0, "7d": 43.9, "30d": 13.1}},
    ),
    Score(
        OBSERVED_AT.plus(days=-90.0), OBSERVED_AT.plus(days=-1.0), 211, {"model": 204.7, "poisson": 188.2, "etas": 219.4},
        {"model": 1.83, "poisson": 0.41, "etas": 1.71}, {"poisson": 1.42, "etas": 0.12}, 3, 1,
    ),
)  # fmt: skip
ALERT = Alert(
    "m6-observed:california:0-4711", 0, "initial", None, "m6-observed", "magnitude", "california",
    OBSERVED_AT, OBSERVED_AT.plus(days=1.0), True, "M 6.1 earthquake, 18 km W of Searles Valley, CA",
    "The magnitude is M 6.1; this alert begins at M 6.0.", 6.1, 6.0, None, None, None, [EVENT.id], None, 0, 4_711,
    description=f"An earthquake of M 6.1 happened at 06:05 UTC on 1 March 2026, about 8 km deep, {EVENT.place}. Its magnitude and place may"
    " still be revised. Aftershocks are to be expected. The largest is about M 4.9 on average, but one as large as this or larger"
    " is possible.",
    began_at=OBSERVED_AT,
    earthquake=AlertedEarthquake(EVENT.id, EVENT.id, ORIGIN, 6.1, 35.705, -117.504, 8.2, EVENT.place),
)  # fmt: skip
OUTLOOK = RegionOutlook(
    id="outlook-california-0-4711", region="california", issued_at=OBSERVED_AT, cause="mainshock", supersedes=None,
    mainshock=OutlookMainshock(EVENT.id, ORIGIN, 6.1, 35.705, -117.504, 8.2, EVENT.place), observed_from=ORIGIN,
    magnitude_of_completeness=2.5, events_in_window=212, simulations=1_000, cut=0, seed=4_711, input_partition=0, input_sequence=4_711,
    creation_time=int(OBSERVED_AT), expire_time=int(OBSERVED_AT.plus(days=365.0)), advisory_time_frame="1 Week", template="Mainshock",
    injectable_text="A probability forecast, not a prediction.", observations=[Observation(3.0, 0), Observation(4.0, 0)],
    model=OutlookModel(MODEL, "the forecaster rolled forward", {"simulations": 1_000.0}), fractile_probabilities=[0.025, 0.5, 0.975],
    forecast=[
        OutlookSpan(
            int(OBSERVED_AT), int(OBSERVED_AT.plus(days=1.0)), "1 Day",
            [Bin(3.0, 21, 164, 1.0, 63, [21, 63, 164]), Bin(4.0, 1, 19, 0.99, 7, [1, 7, 19])],
            AboveMainshock(6.1, 0.05, [0, 0, 1]),
        )
    ],
    next_forecast_time=int(ORIGIN.plus(seconds=600.0)),
)  # fmt: skip
MAP = GriddedForecast(
    id="map-california-0-4711", region="california", issued_at=OBSERVED_AT, cause="mainshock", outlook=OUTLOOK.id, model=MODEL,
    magnitude_of_completeness=2.5, events_in_window=212, input_partition=0, input_sequence=4_711,
    disclaimer="A probability forecast, not a prediction.", horizons_days=[1.0, 7.0], magnitudes=[2.5, 4.0, 5.0],
    shares=[[0.961, 0.0346, 0.0044], [0.962, 0.0341, 0.0039]], totals=[203.0, 511.0], step_degrees=0.1,
    cells=MapCells([35.6, 35.7, 35.7, 35.6], [-117.6, -117.6, -117.5, -117.4], [0.1, 0.1, 0.1, 0.2]),
    expected=[[41.2, 63.9, 88.3, 9.6], [103.0, 158.0, 219.0, 31.0]],
)  # fmt: skip
EXAMPLES: tuple[msgspec.Struct, ...] = (
    CHANGE,
    Heartbeat(4_712, OBSERVED_AT, "all_day"),
    Outage(4_713, OBSERVED_AT, "all_day", 312.4, "the connection was refused"),
    PROMOTION,
    Activation(0, 8_820, 4_711, OBSERVED_AT, MODEL, PROMOTION),
    DeadLetter(
        OBSERVED_AT, "all_day", "time_damaged", "the origin time cannot be read", used=False, id="xx00000002", payload='{"type":"Feature"'
    ),
    FORECAST,
    OUTLOOK,
    MAP,
    ALERT,
)
"""One record of each type in the topics."""


def example_of(record: type[msgspec.Struct]) -> msgspec.Struct:
    """Return the example of a record's type."""
    return next(example for example in EXAMPLES if type(example) is record)

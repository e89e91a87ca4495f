"""The codes of what is odd about a source's reports: for each, whether the event is used nevertheless, and what is done."""

from __future__ import annotations

from typing import NamedTuple

from ingest.plausible import LONGEST_ID, LONGEST_TEXT


class Oddity(NamedTuple):
    """What is done with an event that has an oddity."""

    used: bool
    detail: str


ODDITIES = {
    "id_missing": Oddity(False, "the event has no id; dropped"),
    "id_too_long": Oddity(False, f"the id is longer than {LONGEST_ID} characters; dropped"),
    "status_deleted": Oddity(False, "the source has deleted this event; dropped"),
    "time_damaged": Oddity(False, "the origin time cannot be read, or is not in 1900 … 2200; dropped"),
    "time_in_future": Oddity(False, "the origin time is more than five minutes later than the source's clock; dropped"),
    "place_missing": Oddity(False, "latitude or longitude is missing or not a number; dropped"),
    "latitude_out_of_range": Oddity(False, "the latitude is beyond ±90 degrees; dropped"),
    "longitude_out_of_range": Oddity(False, "the longitude is beyond ±360 degrees; dropped"),
    "duplicate_id": Oddity(False, "the id occurs again in the same input with a revision at least as new; dropped"),
    "feature_damaged": Oddity(False, "the feature is not an object with properties; dropped"),
    "event_damaged": Oddity(False, "the event cannot be read, though the file can; dropped"),
    "row_damaged": Oddity(False, "the row does not have the columns of its header; dropped"),
    "observed_at_damaged": Oddity(False, "the time of observation cannot be read; dropped"),
    "op_unknown": Oddity(False, "op is not one of new, update, delete; dropped"),
    "longitude_wrapped": Oddity(True, "the longitude was beyond ±180 degrees; brought within"),
    "time_carried_over": Oddity(True, "the origin time has a second or minute of 60 or an hour of 24; carried over"),
    "updated_damaged": Oddity(True, "the time of the last revision cannot be read; the origin time stands for it"),
    "magnitude_missing": Oddity(True, "no magnitude"),
    "magnitude_not_finite": Oddity(True, "the magnitude is not a number within ±12; left out"),
    "depth_missing": Oddity(True, "no depth"),
    "depth_out_of_range": Oddity(True, "the depth is not within −100 … 1,000 km; left out"),
    "text_too_long": Oddity(True, f"a text is longer than {LONGEST_TEXT:,} characters; cut"),
    "status_upper_case": Oddity(True, "the status is in capitals; lower-cased"),
    "type_spelling": Oddity(True, "the type is spelled with capitals or underscores; mended"),
    "empty": Oddity(False, "nothing was received"),
    "html": Oddity(False, "a page in HTML or XML was received instead of JSON"),
    "truncated": Oddity(False, "the JSON breaks off"),
    "not_json": Oddity(False, "what was received is not JSON"),
    "not_geojson": Oddity(False, "the JSON is neither a FeatureCollection nor a Feature"),
}

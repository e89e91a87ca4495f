"""Any record of any topic, recognised by its `$schema`: for readers of several topics."""

from __future__ import annotations

import msgspec

from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion, decode_hook, decode_with
from stream.records.activation import Activation
from stream.records.alert import Alert
from stream.records.forecast import Forecast
from stream.records.map import GriddedForecast
from stream.records.outlook import RegionOutlook

AnyRecord = Change | Heartbeat | Outage | Promotion | Activation | DeadLetter | Forecast | RegionOutlook | GriddedForecast | Alert
_decoder: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord, dec_hook=decode_hook)


def decode_record(data: bytes | str) -> AnyRecord:
    """Decode a record as it stands in its topic, or in the stream over HTTP.

    Raises:
        msgspec.DecodeError: not JSON, or no record of a known schema and version.
    """
    return decode_with(_decoder, data)

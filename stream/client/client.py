"""The typed client of the HTTP API: one method per endpoint, and the live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from ingest.event import decode_hook, decode_with
from ingest.instant import Instant
from ingest.problem import Problem
from stream.client.connection import PATIENCE_SECONDS, Connection
from stream.client.subscription import Subscription, Unreadable
from stream.records import (
    Alert,
    Alerts,
    AnyRecord,
    Events,
    Explanation,
    Forecast,
    Forecasts,
    GriddedForecast,
    KnownEvent,
    Models,
    OneMap,
    OneRegion,
    Outcome,
    Outcomes,
    Outlooks,
    RegionNow,
    RegionOutlook,
    Regions,
    Revisions,
    Scores,
    Status,
)
from stream.selection import Selection

Answer = TypeVar("Answer", bound=msgspec.Struct)
Marked = TypeVar("Marked", Forecast, RegionOutlook, KnownEvent)
"""A record that is marked when it comes from a replay."""


class Client:
    """A client of one quakecast server, and a context manager that closes it.

    Every method raises `Problem` (what is wrong, and what to do) when the server refuses the request or cannot be reached.
    """

    def __init__(self, url: str = "http://127.0.0.1:8080", token: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Args:
            url: the server's address.
            token: its bearer token, if it requires one.
            patience_seconds: how long to retry while the server does not answer.
        """
        self._connection = Connection(url, token, patience_seconds)

    def stream(
        self,
        topics: Sequence[str] = ("forecasts", "alerts"),
        regions: Sequence[str] = (),
        *,
        include_test: bool = False,
        include_heartbeats: bool = False,
        after: str | None = None,
        start: Instant | str | None = None,
        until_end: bool = False,
        cursor_file: Path | str | None = None,
        min_magnitude: float | None = None,
        min_probability: float | None = None,
        within: str = "1d",
        on_unreadable: Callable[[Unreadable], None] | None = None,
        on_trouble: Callable[[str], None] | None = None,
    ) -> Subscription:
        """Return the live stream: an iterator of typed records, each once. It reconnects when needed and continues at the exact record.

        Args:
            topics: any of `events`, `forecasts`, `outlooks`, `alerts`, `models`, `maps`.
            regions: region ids; empty for all. Records that concern no single region are always returned.
            include_test: return records that are not live, too. Otherwise they are left out and counted in `left_out_tests`.
            include_heartbeats: return the heartbeats of the events topic, too.
            after: a cursor (`Subscription.cursor`) to continue after.
            start: where to begin without a cursor: a time (as text: ISO 8601) or `beginning`; by default with new records.
            until_end: stop once the newest record has been returned.
            cursor_file: the file that keeps the cursor between runs of the program.
            min_magnitude, min_probability, within: see `stream.selection.Selection`.
            on_unreadable: called with each message that is not a record of a known schema; the stream continues.
            on_trouble: called with the reason each time a connection breaks.

        Raises:
            Problem: while iterating, if the server refuses, or cannot be reached at first for `patience_seconds`.
        """
        file = None if cursor_file is None else Path(cursor_file)
        selection = Selection(
            regions, min_magnitude=min_magnitude, min_probability=min_probability, within=within, include_test=include_test,
            include_heartbeats=include_heartbeats, resumed=after is not None or (file is not None and file.exists()),
        )  # fmt: skip
        parameters: dict[str, Any] = {"topics": list(topics), "regions": list(regions) or None, "test": True, "from": start}
        if until_end:
            parameters["until"] = "end"
        return Subscription(
            self._connection, parameters, selection, after=after, cursor_file=file, on_unreadable=on_unreadable, on_trouble=on_trouble
        )

    def status(self) -> Status:
        """Return the state of the system: age of the feed, lag, latencies, the model in force."""
        return self._get("/v1/status", Status)

    def regions(self) -> list[RegionNow]:
        """Return all regions with their shapes and latest forecasts."""
        return self._get("/v1/regions", Regions).regions

    def region(self, region: str) -> OneRegion:
        """Return one region with its latest forecast, latest outlook and active alerts."""
        return self._get(f"/v1/regions/{quote(region, safe='')}", OneRegion)

    def forecasts(self, *, include_test: bool = False) -> list[Forecast]:
        """Return the latest forecast of each region that has one."""
        return _only_live(self._get("/v1/forecasts", Forecasts).forecasts, include_test)

    def forecast(self, region: str, *, include_test: bool = False) -> Forecast | None:
        """Return a region's latest forecast; None before its first."""
        forecast = self.region(region).forecast
        return None if forecast is None or (forecast.test and not include_test) else forecast

    def events(
        self,
        region: str | None = None,
        min_magnitude: float | None = None,
        start: Instant | str | None = None,
        end: Instant | str | None = None,
        limit: int | None = None,
        *,
        id: str | None = None,
        include_test: bool = False,
    ) -> list[KnownEvent]:
        """Return events in their current version, newest first: origin times from `start` to before `end`; deleted ones are marked.

        Args:
            id: any id under which the event was reported, such as `us6000jllz`.
        """
        parameters = {"id": id, "region": region, "min_magnitude": min_magnitude, "from": start, "to": end, "limit": limit}
        return _only_live(self._get("/v1/events", Events, parameters).events, include_test)

    def alerts(
        self,
        region: str | None = None,
        rule: str | None = None,
        kind: str | None = None,
        active: bool | None = None,
        start: Instant | str | None = None,
        end: Instant | str | None = None,
        limit: int | None = None,
        *,
        include_test: bool = False,
    ) -> list[Alert]:
        """Return the latest revision of each alert, newest first; alerts that are not live only with `include_test`."""
        test = None if include_test else False
        parameters = {
            "region": region,
            "rule": rule,
            "kind": kind,
            "active": active,
            "from": start,
            "to": end,
            "limit": limit,
            "test": test,
        }
        return self._get("/v1/alerts", Alerts, parameters).alerts

    def alert(self, alert_id: str) -> list[Alert]:
        """Return all revisions of an alert, the first one first."""
        return self._get(f"/v1/alerts/{quote(alert_id, safe='')}", Revisions).revisions

    def cap(self, alert_id: str, revision: int | None = None) -> bytes:
        """Return a revision of an alert, by default the latest, as a CAP 1.2 message."""
        return self._connection.get(f"/v1/alerts/{quote(alert_id, safe='')}/cap", {"revision": revision})

    def forecast_history(
        self, region: str, start: Instant | str = "beginning", end: Instant | str | None = None, *, include_test: bool = False
    ) -> Iterator[Forecast]:
        """Yield a region's forecasts issued from `start` to before `end`, oldest first. They come from the stream: all of them."""
        return (one for one in self._history("forecasts", region, start, end, include_test) if isinstance(one, Forecast))

    def outlooks(self, *, include_test: bool = False) -> list[RegionOutlook]:
        """Return the latest outlook of each region that has one."""
        return _only_live(self._get("/v1/outlooks", Outlooks).outlooks, include_test)

    def outlook_history(
        self, region: str, start: Instant | str = "beginning", end: Instant | str | None = None, *, include_test: bool = False
    ) -> Iterator[RegionOutlook]:
        """Yield a region's outlooks, as `forecast_history` does its forecasts."""
        return (one for one in self._history("outlooks", region, start, end, include_test) if isinstance(one, RegionOutlook))

    def map(self, region: str, *, include_test: bool = False) -> GriddedForecast | None:
        """Return a region's latest map: expected numbers by cell; None before its first."""
        forecast = self._get(f"/v1/maps/{quote(region, safe='')}", OneMap).map
        return None if forecast is None or (forecast.test and not include_test) else forecast

    def map_history(
        self, region: str, start: Instant | str = "beginning", end: Instant | str | None = None, *, include_test: bool = False
    ) -> Iterator[GriddedForecast]:
        """Yield a region's maps, as `forecast_history` does its forecasts."""
        return (one for one in self._history("maps", region, start, end, include_test) if isinstance(one, GriddedForecast))

    def _history(self, topic: str, region: str, start: Instant | str, end: Instant | str | None, include_test: bool) -> Iterator[AnyRecord]:
        before = Instant.parse(end) if isinstance(end, str) else end
        with self.stream([topic], [region], start=start, until_end=True, include_test=include_test) as stream:
            for record in stream:
                if before is not None and getattr(record, "issued_at", before) >= before:
                    return  # all records of a region are in one partition, in order
                yield record

    def outcomes(self, region: str, limit: int | None = None) -> list[Outcome]:
        """Return a region's recent forecasts beside the events that followed."""
        return self._get(f"/v1/regions/{quote(region, safe='')}/outcomes", Outcomes, {"limit": limit}).outcomes

    def explanation(self, region: str) -> Explanation:
        """Return the explanation of a region's latest forecast."""
        return self._get(f"/v1/regions/{quote(region, safe='')}/explanation", Explanation)

    def scores(self) -> Scores:
        """Return the scores of the forecasts, by region and over all, and their calibration."""
        return self._get("/v1/scores", Scores)

    def models(self) -> Models:
        """Return the model in force and the promotions so far."""
        return self._get("/v1/models", Models)

    def forecasts_geojson(self) -> bytes:
        """Return the latest forecasts with the polygons of their regions, as GeoJSON."""
        return self._connection.get("/v1/forecasts.geojson")

    def map_geojson(self, region: str, magnitude: float | None = None) -> bytes:
        """Return a region's latest map as GeoJSON; the numbers are of events from one of its magnitudes on, by default all."""
        return self._connection.get(f"/v1/maps/{quote(region, safe='')}/geojson", {"magnitude": magnitude})

    def events_geojson(self, **parameters: Any) -> bytes:
        """Return events as GeoJSON with the properties of USGS feeds; parameters as in the API: `region`, `limit`, …"""
        return self._connection.get("/v1/events.geojson", parameters)

    def events_quakeml(self, **parameters: Any) -> bytes:
        """Return events as QuakeML 1.2; parameters as for `events_geojson`."""
        return self._connection.get("/v1/events.quakeml", parameters)

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the decoded JSON of any other endpoint, such as `/asyncapi.json`."""
        return msgspec.json.decode(self._connection.get(path, parameters))

    def _get(self, path: str, answer: type[Answer], parameters: dict[str, Any] | None = None) -> Answer:
        body = self._connection.get(path, parameters)
        try:
            return decode_with(msgspec.json.Decoder(answer, dec_hook=decode_hook), body)
        except msgspec.DecodeError as error:
            raise Problem(f"this client cannot read the answer of {path} ({error})", "use a client of the server's version") from None

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _only_live(records: list[Marked], include_test: bool) -> list[Marked]:
    """Return the records without those that are not live, unless these are included."""
    return [record for record in records if include_test or not record.test]

"""What the API offers, typed: one method an endpoint, and the live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from ingest.event import decode_hook, decoded
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
    KnownEvent,
    Models,
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
Said = TypeVar("Said", Forecast, RegionOutlook, KnownEvent)


class Client:
    """A quakecast server, and a context manager. Methods raise `Problem` (what, and what to do) when the server refuses or is away."""

    def __init__(self, url: str = "http://127.0.0.1:8080", token: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Args:
            url: the server's address.
            token: its bearer token, where it wants one.
            patience_seconds: how long to try again while nobody answers.
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
        """The live stream: an iterator of typed records, each once, that connects again when it must and goes on at the exact record.

        Args:
            topics: of which records are wanted: `events`, `forecasts`, `outlooks`, `alerts`, `models`.
            regions: of which; empty for all. What concerns no single region always comes.
            include_test: replays too. They are left out otherwise, and counted in `left_out_tests`.
            include_heartbeats: of events, the heartbeats too.
            after: a cursor, of `Subscription.cursor`, to go on after.
            start: where to begin without a cursor: at a time (ISO 8601 as text), or `beginning`; else with what is new.
            until_end: stop when all that was there at the beginning has come.
            cursor_file: keeps the cursor between runs of the program.
            min_magnitude, min_probability, within: see `stream.selection.Selection`.
            on_unreadable: told each message that is no record of a known schema; the stream goes on.
            on_trouble: told why a connection broke, each time.

        Raises:
            Problem: by iterating, when the server refuses, or cannot be reached at first for as long as patience lasts.
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
        """How everything is: the feed's age, lag, latency, the model in force."""
        return self._ask("/v1/status", Status)

    def regions(self) -> list[RegionNow]:
        """All regions with their shapes and latest forecasts."""
        return self._ask("/v1/regions", Regions).regions

    def region(self, region: str) -> OneRegion:
        """One region with its latest forecast and outlook, and its active alerts."""
        return self._ask(f"/v1/regions/{quote(region, safe='')}", OneRegion)

    def forecasts(self, *, include_test: bool = False) -> list[Forecast]:
        """The latest forecast of each region that has one."""
        return _live(self._ask("/v1/forecasts", Forecasts).forecasts, include_test)

    def forecast(self, region: str, *, include_test: bool = False) -> Forecast | None:
        """A region's latest forecast; none before its first event."""
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
        include_test: bool = False,
    ) -> list[KnownEvent]:
        """Events as they are known now, newest first: of origin times from `start` to before `end`; those deleted since say so."""
        asked = {"region": region, "min_magnitude": min_magnitude, "from": start, "to": end, "limit": limit}
        return _live(self._ask("/v1/events", Events, asked).events, include_test)

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
        """The latest revision of each alert, newest first; those of replays only if asked for."""
        test = None if include_test else False
        asked = {"region": region, "rule": rule, "kind": kind, "active": active, "from": start, "to": end, "limit": limit, "test": test}
        return self._ask("/v1/alerts", Alerts, asked).alerts

    def alert(self, alert_id: str) -> list[Alert]:
        """All revisions of an alert, the first one first."""
        return self._ask(f"/v1/alerts/{quote(alert_id, safe='')}", Revisions).revisions

    def cap(self, alert_id: str, revision: int | None = None) -> bytes:
        """An alert's latest (or another) revision as a CAP 1.2 message."""
        return self._connection.get(f"/v1/alerts/{quote(alert_id, safe='')}/cap", {"revision": revision})

    def forecast_history(
        self, region: str, start: Instant | str = "beginning", end: Instant | str | None = None, *, include_test: bool = False
    ) -> Iterator[Forecast]:
        """A region's forecasts in their order, from `start` to before `end`, as the stream gives them: each once, however many."""
        return (one for one in self._history("forecasts", region, start, end, include_test) if isinstance(one, Forecast))

    def outlooks(self, *, include_test: bool = False) -> list[RegionOutlook]:
        """The latest outlook of each region that has one."""
        return _live(self._ask("/v1/outlooks", Outlooks).outlooks, include_test)

    def outlook_history(
        self, region: str, start: Instant | str = "beginning", end: Instant | str | None = None, *, include_test: bool = False
    ) -> Iterator[RegionOutlook]:
        """A region's outlooks, as `forecast_history`."""
        return (one for one in self._history("outlooks", region, start, end, include_test) if isinstance(one, RegionOutlook))

    def _history(self, topic: str, region: str, start: Instant | str, end: Instant | str | None, include_test: bool) -> Iterator[AnyRecord]:
        before = Instant.parse(end) if isinstance(end, str) else end
        with self.stream([topic], [region], start=start, until_end=True, include_test=include_test) as stream:
            for record in stream:
                if before is not None and getattr(record, "issued_at", before) >= before:
                    return  # one region is in one partition, in order
                yield record

    def outcomes(self, region: str, limit: int | None = None) -> list[Outcome]:
        """A region's recent forecasts against what then came."""
        return self._ask(f"/v1/regions/{quote(region, safe='')}/outcomes", Outcomes, {"limit": limit}).outcomes

    def explanation(self, region: str) -> Explanation:
        """Why a region's forecast is what it is."""
        return self._ask(f"/v1/regions/{quote(region, safe='')}/explanation", Explanation)

    def scores(self) -> Scores:
        """How good the forecasts were, by region and over all, and how well calibrated."""
        return self._ask("/v1/scores", Scores)

    def models(self) -> Models:
        """Who forecasts, and who did."""
        return self._ask("/v1/models", Models)

    def forecasts_geojson(self) -> bytes:
        """The latest forecasts with their regions' polygons, as GeoJSON."""
        return self._connection.get("/v1/forecasts.geojson")

    def events_geojson(self, **asked: Any) -> bytes:
        """As `events`, as GeoJSON in the words of the USGS; parameters as in the API: `region`, `min_magnitude`, `limit`, …"""
        return self._connection.get("/v1/events.geojson", asked)

    def events_quakeml(self, **asked: Any) -> bytes:
        """As `events_geojson`, as QuakeML 1.2."""
        return self._connection.get("/v1/events.quakeml", asked)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON that any other endpoint answers, such as `/asyncapi.json`."""
        return msgspec.json.decode(self._connection.get(path, parameters))

    def _ask(self, path: str, answer: type[Answer], parameters: dict[str, Any] | None = None) -> Answer:
        body = self._connection.get(path, parameters)
        try:
            return decoded(msgspec.json.Decoder(answer, dec_hook=decode_hook), body)
        except msgspec.DecodeError as error:
            raise Problem(f"{path} is not answered as this client understands ({error})", "use a client of the server's version") from None

    def close(self) -> None:
        """Release the connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _live(records: list[Said], include_test: bool) -> list[Said]:
    """Without those of replays, unless asked for."""
    return [record for record in records if include_test or not record.test]

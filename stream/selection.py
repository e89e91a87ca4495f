"""Selects records by region, magnitude and probability; records that are not live are left out unless asked for. No IO, no clock."""

from __future__ import annotations

from collections.abc import Collection

from ingest.event import Change, Heartbeat
from ingest.problem import Problem
from stream.records import HORIZONS_HOURS, MAGNITUDES, SPANS_DAYS, Alert, AnyRecord, Forecast, RegionOutlook


class Selection:
    """A reader's selection and its state: once an event or alert was selected, its later revisions are selected too."""

    def __init__(
        self,
        regions: Collection[str] = (),
        *,
        min_magnitude: float | None = None,
        min_probability: float | None = None,
        within: str = "1d",
        include_test: bool = False,
        include_heartbeats: bool = False,
        resumed: bool = False,
    ) -> None:
        """
        Args:
            regions: ids; empty for all. Records that concern no single region are always selected.
            min_magnitude: events and alerts of at least this; with `min_probability`, forecasts and outlooks of at least this magnitude.
            min_probability: forecasts and outlooks with at least this probability of an event, and alerts of such a probability.
            within: `1h`, `1d`, `7d` or `30d`.
            include_test: include records that are not live.
            include_heartbeats: include the heartbeats among events.
            resumed: the reader continues after an earlier one, which may have selected events that are deleted now: select deletions.

        Raises:
            Problem: the span is not one of the four.
        """
        if within not in HORIZONS_HOURS:
            raise Problem(f"forecasts have no span {within!r}", f"choose one of {', '.join(HORIZONS_HOURS)}")
        self._regions, self._include_test, self._include_heartbeats = frozenset(regions), include_test, include_heartbeats
        self._min_magnitude, self._min_probability, self._within, self._resumed = min_magnitude, min_probability, within, resumed
        self._has_thresholds = min_magnitude is not None or min_probability is not None
        self._selected_ids: set[str] = set()
        self.left_out_tests = 0
        """Number of records left out only because they come from replays."""

    def takes(self, record: AnyRecord) -> bool:
        """Return whether a record is selected; to be called once for each record, in order."""
        if isinstance(record, Heartbeat) and not self._include_heartbeats:
            return False
        region = getattr(record, "region", None)
        if self._regions and region is not None and region not in self._regions:
            return False
        if not self._reaches_thresholds(record):
            return False
        if getattr(record, "test", False) and not self._include_test:
            self.left_out_tests += 1
            return False
        if isinstance(record, Change | Alert) and self._has_thresholds:
            self._selected_ids.add(record.id)
        return True

    def _reaches_thresholds(self, record: AnyRecord) -> bool:
        if isinstance(record, Change):
            return self._min_magnitude is None or self._change_reaches(record, self._min_magnitude)
        if isinstance(record, Alert):
            return record.id in self._selected_ids or (record.revision > 0 and self._resumed) or self._alert_reaches(record)
        compared = self.compared_probability(record)
        return compared is None or self._min_probability is None or compared >= self._min_probability

    def compared_probability(self, record: AnyRecord) -> float | None:
        """Return the probability of a forecast or an outlook that is compared with `min_probability`; None if none is."""
        if self._min_probability is None:
            return None
        if isinstance(record, Forecast):
            return probability(record, self._min_magnitude, self._within)
        if isinstance(record, RegionOutlook):
            return outlook_probability(record, self._min_magnitude, self._within)
        return None

    def _change_reaches(self, change: Change, least: float) -> bool:
        if change.event is None:
            return change.id in self._selected_ids or self._resumed
        return change.id in self._selected_ids or (change.event.magnitude is not None and change.event.magnitude >= least)

    def _alert_reaches(self, alert: Alert) -> bool:
        magnitude = alert.value if alert.kind == "magnitude" else alert.magnitude
        if self._min_magnitude is not None and (magnitude is None or magnitude < self._min_magnitude):
            return False
        if self._min_probability is None:
            return True
        return alert.kind == "probability" and alert.value is not None and alert.value >= self._min_probability


def probability(forecast: Forecast, magnitude: float | None, within: str) -> float:
    """Return the probability of an event within a span: at or above completeness, or a magnitude of `MAGNITUDES`; 0 where none is given.

    Raises:
        Problem: forecasts give no probabilities for this magnitude.
    """
    if magnitude is None or magnitude <= forecast.magnitude_of_completeness:
        return forecast.wait.probability_within.get(within, 0.0)
    if magnitude not in MAGNITUDES:
        choices = ", ".join(f"{one:g}" for one in MAGNITUDES)
        raise Problem(f"forecasts give no probabilities of magnitudes from {magnitude:g} on", f"choose one of {choices}")
    if forecast.exceedance is None:
        return 0.0
    return forecast.exceedance.probability.get(f"{magnitude:g}", {}).get(within, 0.0)


def outlook_probability(outlook: RegionOutlook, magnitude: float | None, within: str) -> float:
    """Return the probability of an event within a span by an outlook; 0 for `1h`, a span that outlooks do not have.

    Args:
        magnitude: None for the smallest magnitude of the outlook.
    """
    days = HORIZONS_HOURS[within] / 24.0
    bins = [one for span in outlook.forecast if SPANS_DAYS.get(span.label) == days for one in span.bins]
    return next((one.probability for one in bins if magnitude is None or one.magnitude >= magnitude), 0.0)

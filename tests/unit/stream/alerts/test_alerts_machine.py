"""The life of alerts under any sequence of events, heartbeats and outages, with restarts from the saved state at any point."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ingest.event import Change, InputRecord, Outage
from stream.core import SavedRegion
from stream.partition import Partition
from stream.records import Alert, decode_alerts, encode_alerts
from tests.support.simulated import REGION, at, change, event, table
from tests.support.simulated import beat as heartbeat
from tests.unit.stream.alerts.test_lifecycle import LIKELY, OBSERVED, SILENT, SizeForecaster

RULES = (LIKELY, OBSERVED, SILENT)
IDS = st.sampled_from("abcd")
MAGNITUDES = st.sampled_from([None, 4.0, 5.7, 5.9, 6.1, 6.15, 7.5])


def restarted(partition: Partition) -> Partition:
    """Return a partition that was built from what a store keeps of another."""
    position = partition.position._replace(alerts=decode_alerts(encode_alerts(partition.position.alerts)))
    again = Partition(0, table(), SizeForecaster(), position, rules=RULES)
    regions: dict[str, SavedRegion] = {}
    for region, one in partition.everything().items():
        events, alerts = partition.state(region).window.events, decode_alerts(encode_alerts(one.alerts))
        regions[region] = SavedRegion(events, one.memory, one.due_at, one.forecast, one.scoring, alerts)
    again.restore(regions)
    return again


class AlertMachine(RuleBasedStateMachine):
    """A region's feed; a partition that restarts now and then, beside one that never does."""

    def __init__(self) -> None:
        super().__init__()
        self.undisturbed = Partition(0, table(), SizeForecaster(), rules=RULES)
        self.partition = Partition(0, table(), SizeForecaster(), rules=RULES)
        self.hour, self.sequence = 0.0, 0
        self.last: dict[str, Alert] = {}

    @rule(event_id=IDS, magnitude=MAGNITUDES, age_hours=st.sampled_from([0.0, 0.5, 30.0]), blast=st.booleans(), other=st.none() | IDS)
    def report(self, event_id: str, magnitude: float | None, age_hours: float, blast: bool, other: str | None) -> None:
        kind = "quarry blast" if blast and age_hours else "earthquake"
        version = event(event_id, self.hour - age_hours, magnitude, type=kind, other_ids=(other,) if other and other != event_id else ())
        self._take(change(version, observed=at(self.hour)))

    @rule(event_id=IDS)
    def delete(self, event_id: str) -> None:
        self._take(change(event_id, observed=at(self.hour)))

    @rule(event_id=IDS, into=IDS)
    def merge(self, event_id: str, into: str) -> None:
        if into != event_id:
            self._take(change(event_id, kind="merged", observed=at(self.hour), merged_into=into))

    @rule(hours=st.sampled_from([0.02, 0.3, 1.5, 13.0, 25.0, 24.0 * 31]))
    def wait(self, hours: float) -> None:
        self.hour += hours
        self._take(heartbeat(self.hour))

    @rule(seconds=st.sampled_from([200.0, 400.0, 4_000.0]))
    def fall_silent(self, seconds: float) -> None:
        self._take(Outage(0, at(self.hour), "simulated", seconds, "no answer"))
        self.hour += seconds / 3_600.0

    @rule()
    def restart(self) -> None:
        self.partition = restarted(self.partition)

    def _take(self, record: InputRecord) -> None:
        numbered = msgspec.structs.replace(record, sequence=self.sequence)
        self.sequence += 1
        issued = self.partition.take(numbered, self.sequence)
        assert [body for _, body in issued] == [body for _, body in self.undisturbed.take(numbered, self.sequence)]
        for alert, _ in issued:
            if isinstance(alert, Alert):
                self._follow(alert, record)

    def _follow(self, alert: Alert, record: InputRecord) -> None:
        """Check a revision against the one before it."""
        before = self.last.get(alert.id)
        assert alert.input_sequence == self.sequence - 1
        assert alert.active == (alert.expires_at > alert.issued_at), "an alert is active, or has ended"
        if before is None:
            assert (alert.alert_type, alert.revision, alert.supersedes) == ("initial", 0, None)
        else:
            assert alert.alert_type in ("update", "retraction")
            assert (alert.revision, alert.supersedes) == (before.revision + 1, f"{before.id}.{before.revision}")
            assert before.alert_type != "retraction", "a retraction is the last revision"
            is_renamed = isinstance(record, Change) and record.kind == "merged"
            assert before.active or alert.alert_type == "retraction" or is_renamed, "an alert that has ended is not updated"
            assert not alert.active or before.active, "an alert that has ended does not begin again"
        assert alert.region in (REGION.id, None)
        self.last[alert.id] = alert


TestAlerts = AlertMachine.TestCase

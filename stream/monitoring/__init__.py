"""Probes of the dependencies of a process, its health by their results, and Prometheus metrics."""

from __future__ import annotations

from stream.monitoring.health import SECONDS_BETWEEN_PROBES, Health, Probe, check_feed, run_probe
from stream.monitoring.metrics import TAKEOVER_KEY, OutlookMetrics, WorkerMetrics, watch_health
from stream.monitoring.probes import FeedProbe, ForecastsProbe, LogProbe, ModelProbe, StoreProbe, check_models, public_address

__all__ = [
    "SECONDS_BETWEEN_PROBES",
    "TAKEOVER_KEY",
    "FeedProbe",
    "ForecastsProbe",
    "Health",
    "LogProbe",
    "ModelProbe",
    "OutlookMetrics",
    "Probe",
    "StoreProbe",
    "WorkerMetrics",
    "check_feed",
    "check_models",
    "public_address",
    "run_probe",
    "watch_health",
]

"""Health checks, probes and Prometheus metrics."""

from __future__ import annotations

from stream.monitoring.health import SECONDS_BETWEEN_LOOKS, Health, Look, feed_heard, looked
from stream.monitoring.metrics import OutlookMetrics, WorkerMetrics, watch_health
from stream.monitoring.probes import FeedLook, ForecastsLook, LogLook, ModelLook, StoreLook, address, models_agree

__all__ = [
    "SECONDS_BETWEEN_LOOKS",
    "FeedLook",
    "ForecastsLook",
    "Health",
    "LogLook",
    "Look",
    "ModelLook",
    "OutlookMetrics",
    "StoreLook",
    "WorkerMetrics",
    "address",
    "feed_heard",
    "looked",
    "models_agree",
    "watch_health",
]

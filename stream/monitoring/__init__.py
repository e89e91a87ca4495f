"""Health checks, probes and Prometheus metrics."""

"""Continuations of the forecaster, rolled forward event by event."""

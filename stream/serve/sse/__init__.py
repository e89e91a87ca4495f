"""The live stream of records as server-sent events."""

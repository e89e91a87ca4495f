"""The HTTP server: REST under `/v1/`, the stream, the page."""

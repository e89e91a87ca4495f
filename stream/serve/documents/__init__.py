"""Descriptions of the API, generated from its types: OpenAPI, AsyncAPI and JSON Schemas."""

from __future__ import annotations

from stream.serve.documents.endpoints import DocumentEndpoints

__all__ = [
    "DocumentEndpoints",
]

"""The API's own descriptions: OpenAPI and AsyncAPI."""

from __future__ import annotations

from stream.serve.documents.endpoints import Documents

__all__ = [
    "Documents",
]

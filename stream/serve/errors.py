"""Errors of the API: what is wrong with a request, and what to do about it."""

from __future__ import annotations

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """Body of every answer that is not 2xx."""

    error: str
    """What is wrong, in one line."""
    remedy: str
    """What to do."""


class ApiError(Exception):
    """The request cannot be answered.

    Args:
        status: the HTTP status.
        error: what is wrong.
        remedy: what to do.
        headers: further headers of the response.
    """

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.body, self.headers = status, Refusal(error, remedy), headers or {}


def not_found(what: str, remedy: str) -> ApiError:
    return ApiError(404, f"there is no {what}", remedy)


def bad_request(error: str, remedy: str) -> ApiError:
    return ApiError(400, error, remedy)


def unavailable(error: str, remedy: str, retry_after_seconds: int = 2) -> ApiError:
    return ApiError(503, error, remedy, {"Retry-After": str(retry_after_seconds)})

"""What clients are told when they do not get what they asked for: what, and what to do."""

from __future__ import annotations

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """Body of every answer that is not 2xx."""

    error: str
    """One line."""
    remedy: str
    """What to do."""


class ApiError(Exception):
    """The request is not answered as asked."""

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.body, self.headers = status, Refusal(error, remedy), headers or {}


def not_found(what: str, remedy: str) -> ApiError:
    return ApiError(404, f"there is no {what}", remedy)


def bad_request(error: str, remedy: str) -> ApiError:
    return ApiError(400, error, remedy)


def unavailable(error: str, remedy: str, again_in_seconds: int = 2) -> ApiError:
    return ApiError(503, error, remedy, {"Retry-After": str(again_in_seconds)})

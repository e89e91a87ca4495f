"""The errors of Kafka in words: a broker that is away, a right that is missing, a connection that is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import (  # type: ignore[import-untyped]
    AuthorizationError,
    RetriableError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from ingest.problem import Problem, Unavailable

RIGHTS = "give the user of this process its rights: docs/operators.md, users of Kafka"
_CONNECTING = logging.getLogger("kafka.net.manager")
_CONNECTING.setLevel(logging.WARNING)
_CONNECTING.propagate = False  # what it says is for `ConnectionFailures`: our messages say it in one line
_CONNECTING.addHandler(logging.NullHandler())
_CAUSES: tuple[tuple[str, str, str], ...] = (
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted", "name the file of your authority: QUAKECAST_KAFKA_SSL_CAFILE"),
    ("Handshake failed", "the TLS handshake fails", "name its TLS port, or another security_protocol"),
    ("InvalidReceiveError", "it does not speak plain text on this port", "set security_protocol=SASL_SSL in the URL (or SSL)"),
    (SaslAuthenticationFailedError.__name__, "it refuses the user or the password",
     "set QUAKECAST_KAFKA_SASL_PLAIN_USERNAME and QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD"),
    (UnsupportedSaslMechanismError.__name__, "it does not know this way to log in", "set sasl_mechanism in the URL, such as SCRAM-SHA-512"),
)  # fmt: skip
"""What stands in the error of a failed connection, what it means, what to do. The first that fits counts."""


@contextmanager
def broker_answers(wanted: str = "") -> Iterator[None]:
    """Turn the errors of a broker that is away, or about to come back, into `Unavailable`, and those of a missing right into a `Problem`.

    Args:
        wanted: what the user needs a right for, where the error does not name it.
    """
    try:
        yield
    except RetriableError as error:
        raise Unavailable(
            f"the Kafka broker does not answer ({type(error).__name__}: {error})", "start it; `quakecast doctor` checks it"
        ) from None
    except AuthorizationError as error:
        raise Problem(f"Kafka does not let this user use {wanted or _names(error)} ({type(error).__name__})", RIGHTS) from None


def _names(error: AuthorizationError) -> str:
    """Return what an error of authorization is about: kafka-python gives a set of topics, or the name of a group."""
    about = error.args[0] if error.args else "this cluster"
    return ", ".join(sorted(about)) if isinstance(about, set | frozenset) else str(about)


class ConnectionFailures(logging.Handler):
    """Listens to kafka-python's log while clients connect: it says nowhere else why a connection fails."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []

    def __enter__(self) -> ConnectionFailures:
        _CONNECTING.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _CONNECTING.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def cause(self) -> tuple[str, str] | None:
        """Return what is wrong and what to do about it; None when no line says so."""
        found = ((what, remedy) for sign, what, remedy in _CAUSES if any(sign in line for line in self._lines))
        return next(found, None)

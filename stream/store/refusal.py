"""Why Redis refuses a connection, in words."""

RIGHTS = "give it its rights: docs/operators.md, users of Redis"
_LOGIN = "give both in QUAKECAST_STORE: redis://user:password@host:6379/0"
_CAUSES = (
    ("username-password", "it refuses the user or the password", _LOGIN),
    ("already authenticated", "it wants a user and a password", _LOGIN),
    ("Authentication required", "it wants a user and a password", _LOGIN),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted",
        "name your authority's: rediss://host:6379/0?ssl_ca_certs=/path/ca.pem",
    ),
)


def refusal(error: str) -> tuple[str, str] | None:
    """Return what an error of redis-py means and what to do about it; None if it is not a refusal."""
    return next(((what, remedy) for sign, what, remedy in _CAUSES if sign in error), None)

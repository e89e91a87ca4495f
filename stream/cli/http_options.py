"""Options of `up` and `serve`: where the HTTP server listens, and who may use it."""

from __future__ import annotations

import errno
import ipaddress
import os
import resource
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.problem import Problem

LOOPBACK = "127.0.0.1"
SHORTEST_TOKEN = 16
MOST_OPEN_FILES = 16_384

HostOption = Annotated[str, typer.Option("--host", help="Listen on this address; any other than loopback requires a token.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Listen on this port.")]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File with the server's bearer token; without it, QUAKECAST_TOKEN is the token, if it is set."),
]
RateOption = Annotated[
    float, typer.Option("--requests-per-second", min=0.0, help="Mean rate of requests that each client address may make; 0 for no limit.")
]


def read_token(file: Path | None) -> str | None:
    """Return the token in a file, else that in `QUAKECAST_TOKEN`, else None. No option takes it, because other users see command lines.

    Raises:
        Problem: the file cannot be read, or the token is too short or has characters that a header cannot carry.
    """
    try:
        text = file.read_text(encoding="utf-8") if file is not None else os.environ.get("QUAKECAST_TOKEN")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"cannot read the token file {file} ({type(error).__name__})", "name a text file with --token-file") from None
    if text is None:
        return None
    token = text.strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        remedy = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        raise Problem(f"the token is not one of {SHORTEST_TOKEN} or more printable ASCII characters without spaces", remedy)
    return token


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """Return a bound socket. On an address other than loopback a token is required.

    Raises:
        Problem: the token is missing, the address does not exist, or the port is in use.
    """
    family, address = _resolved(host, port)
    if token is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise Problem(
            f"everybody could use a server that listens on {host} without a token",
            "give a bearer token with --token-file or QUAKECAST_TOKEN, or listen on 127.0.0.1",
        )
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise Problem(f"port {port} is in use", "stop the program that listens on it, or name another port with --port") from None
        raise Problem(
            f"cannot listen on {host} port {port} ({error.strerror})", "name another address or port with --host and --port"
        ) from None
    _allow_many_connections()
    return listening


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError:
        raise Problem(f"the address {host} does not exist", "name an address of this machine with --host") from None
    return family, address


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MOST_OPEN_FILES, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

"""The addresses that are reached without the proxies of the environment."""

from __future__ import annotations

DIRECT = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
"""`mounts` of an HTTPX client: this machine's own addresses need no proxy, and a proxy elsewhere could not reach them."""

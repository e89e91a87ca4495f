"""Makes inputs that are nearly valid: values of other types and sizes, texts in other scripts, bytes cut, flipped and repeated.

Everything is drawn from the generator that is given; the same generator gives the same input.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any


class Written(str):
    """A JSON value as it is to be written, valid or not."""

    __slots__ = ()


NUMBERS = (
    0, -0.0, 1, -1, 0.1, -1e-9, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63), 2**64, 10**30, 1e17, 1e300, 5e-324, 90.0, -90.0, 90.0001,
    180.0, -180.0, 180.0001, -360.0, 360.5, 1e9, 1675646254342, -62135596800000, 253402300799999, 253402300800000, 8.64e15, 2000,
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "\x00", "\x1b[2J", "\u202e", "\u2028", "\u0130", "\ufeff", "\U0001f30b", "é" * 3, "ß", "null", "NaN", "inf", "-Infinity",
    "1e999", "0x10", "1_000", "１２", "٣", "true", "[]", "{}", "<html>", "<!DOCTYPE html>", "../../etc", "a,b",
    '"', "'", "\\", "a\nb", "a\r\nb", "%s%n", "9" * 400, "-", "+", ".", "1970-01-01T00:00:02.-2147483648Z", "2023-02-30", "0000-00-00",
    "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00",
    "24:00:00", "2016-12-31T23:59:60Z", "x" * 5_000,
)  # fmt: skip
RAW = (
    "NaN",
    "-Infinity",
    "1e999",
    "-1e999",
    "0" * 50,
    "1" * 5_000,
    '"\\ud800"',
    '"\\udc00\\ud800"',
    "tru",
    "'a'",
    "",
    "1.",
    "-",
    "[,]",
    "/**/1",
)


def odd_number(rng: Random) -> Any:
    """Return a number at the edge of some range, or near one."""
    number = rng.choice(NUMBERS)
    return rng.choice((number, -number, str(number), number + rng.choice((-1, 1, 0.5)), rng.gauss(0.0, 200.0), rng.randint(-400, 400)))


def odd_text(rng: Random) -> str:
    """Return a text that readers may stumble over."""
    if rng.random() < 0.8:
        return rng.choice(TEXTS)
    return "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xD7FF), rng.randrange(0xE000, 0x110000)))) for _ in range(8))


def odd_value(rng: Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind < 2:
        return odd_number(rng)
    if kind < 4:
        return odd_text(rng)
    if kind == 4:
        return rng.choice((None, True, False))
    if kind == 5:
        return Written(rng.choice(RAW))
    if kind == 6:
        return [odd_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {odd_text(rng): odd_value(rng, depth + 1) for _ in range(rng.randrange(3))}
    return nested(rng) if rng.random() < 0.05 else [[[]]]


def nested(rng: Random) -> Written:
    """Return arrays or objects within each other, more than a reader can follow."""
    levels = rng.choice((30, 500, 1_100, 20_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    return Written(opening * levels + ("1" if opening != "[" else "") + closing * rng.choice((levels, levels - 1)))


def mutated(rng: Random, value: Any, rate: float) -> Any:
    """Return a JSON value, each part of which is replaced, dropped, doubled or exchanged with the probability `rate`."""
    if rng.random() < rate:
        return odd_value(rng)
    if isinstance(value, dict):
        changed = {name: mutated(rng, one, rate) for name, one in value.items() if rng.random() >= rate}
        if changed and rng.random() < rate:
            changed[rng.choice((*changed, odd_text(rng)))] = rng.choice((*changed.values(), odd_value(rng)))
        return changed
    if isinstance(value, list):
        items = [mutated(rng, one, rate) for one in value if rng.random() >= rate]
        return items + items[-1:] if rng.random() < rate else items
    return value


def json_bytes(rng: Random, value: Any, rate: float = 0.01) -> bytes:
    """Write a JSON value; members of objects occur twice with the probability `rate`."""
    return _json_text(rng, value, rate).encode("utf-8", "surrogatepass")


def _json_text(rng: Random, value: Any, rate: float) -> str:
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, dict):
        members = [f"{_quoted(rng, name)}:{_json_text(rng, one, rate)}" for name, one in value.items()]
        twice = [rng.choice(members)] if members and rng.random() < rate else []
        return "{" + ",".join(members + twice) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_json_text(rng, one, rate) for one in value]) + "]"
    return _quoted(rng, value) if isinstance(value, str) else json.dumps(value)


def _quoted(rng: Random, text: str) -> str:
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


def damaged(rng: Random, body: bytes) -> bytes:
    """Return a body that was damaged on its way: once, rarely more often."""
    for _ in range(1 + (rng.random() < 0.2)):
        body = _damaged_once(rng, body)
    return body


def _damaged_once(rng: Random, body: bytes) -> bytes:
    at, end = sorted((rng.randrange(len(body) + 1), rng.randrange(len(body) + 1)))
    match rng.randrange(9):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
        case 2:
            return body[:at] + body[min(end, at + 20) :]
        case 3:
            return body[:end] + body[at:end][:2_000] + body[end:]
        case 4:
            return body[:at] + odd_text(rng).encode("utf-8", "surrogatepass") + body[at:]
        case 5:
            return (
                body[:at]
                + rng.choice((b"\x00", b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"\x1a"))
                + body[at:]
            )
        case 6:
            return rng.choice((b"\xef\xbb\xbf", b" \n", b"<html>", b"\xff\xfe", b"\x00")) + body
        case 7:
            return body[at:] + body[:at]
        case _:
            return body.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le", "cp1252", "latin-1")), "replace")


def sometimes_damaged(rng: Random, body: bytes, share: float = 0.2) -> bytes:
    """Return a body, damaged with this probability."""
    return damaged(rng, body) if rng.random() < share else body


def some_of(rng: Random, choices: Sequence[Any], most: int) -> list[Any]:
    """Return up to `most` of the choices, any of them several times."""
    return [rng.choice(choices) for _ in range(rng.randrange(most + 1))]

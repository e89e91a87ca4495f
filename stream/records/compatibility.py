"""Whether a record's schema keeps what its readers were promised. No IO.

Within one version of a record, whatever was valid stays valid and whatever is written now can be read by who knew the released schema only:
fields are added, never required; none is removed, renamed, retyped or made optional. Anything else is a new version: another number in the
record's `$schema`, written beside the old one for as long as somebody reads that. Words for people (titles, descriptions) are free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
FREE = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "default", "deprecated"})
WITHIN = frozenset({"$ref", "properties", "required", "anyOf", "items", "prefixItems", "additionalProperties", "enum"})
"""Looked into one by one; all other keywords must be the same."""


def breaks(released: Schema, current: Schema) -> list[str]:
    """What a new schema breaks of the released one of the same version: a line each, with the field's path; empty if nothing."""
    return list(_Comparison(released, current).of("", released, current))


class _Comparison:
    """Two schemas, and which pairs of definitions have been compared (records may hold themselves)."""

    def __init__(self, released: Schema, current: Schema) -> None:
        self._released, self._current = released, current
        self._seen: set[tuple[str, str]] = set()

    def of(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        """What breaks at a path and below it."""
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and "$ref" in new:
            if pair in self._seen:
                return
            self._seen.add(pair)
        old, new = resolved(old, self._released), resolved(new, self._current)
        yield from self._plain(path, old, new)
        yield from self._fields(path, old, new)
        yield from self._parts(path, old, new)
        yield from self._choices(path, old, new)

    def _plain(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        for keyword in sorted((old.keys() | new.keys()) - FREE - WITHIN):
            if old.get(keyword) != new.get(keyword):
                yield f"{path or 'the record'}: {keyword} was {old.get(keyword)!r} and is {new.get(keyword)!r}"
        before, now = set(map(str, old.get("enum", ()))), set(map(str, new.get("enum", ())))
        if before != now:
            yield f"{path}: its values were {sorted(before)} and are {sorted(now)}"

    def _fields(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name not in now:
                yield f"{path}.{name} is gone"
            else:
                yield from self.of(f"{path}.{name}", schema, now[name])
        must_before, must_now = set(old.get("required", ())), set(new.get("required", ()))
        yield from (f"{path}.{name} was always there and is optional" for name in sorted((must_before - must_now) & now.keys()))
        yield from (f"{path}.{name} is required and was not" for name in sorted(must_now - must_before))

    def _parts(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        """What lists and maps hold."""
        for keyword in ("items", "additionalProperties"):
            before, now = old.get(keyword), new.get(keyword)
            if isinstance(before, Mapping) and isinstance(now, Mapping):
                yield from self.of(f"{path}[]", before, now)
            elif before != now:
                yield f"{path}[]: {keyword} was {before!r} and is {now!r}"
        before, now = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(before) != len(now):
            yield f"{path}: had {len(before)} places and has {len(now)}"
        for number, (one, other) in enumerate(zip(before, now, strict=False)):
            yield from self.of(f"{path}[{number}]", one, other)

    def _choices(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        """Each choice of before has its like among those of now, and there is no other."""
        lost, left = [], list(new.get("anyOf", []))
        for choice in old.get("anyOf", []):
            like = next((other for other in left if not breaks_between(choice, other, self._released, self._current)), None)
            if like is None:
                lost.append(choice)
            else:
                left.remove(like)
        if len(lost) == len(left) == 1:
            yield from self.of(path, lost[0], left[0])
            return
        yield from (f"{path}: it could be {_named(choice)} and no longer can" for choice in lost)
        yield from (f"{path}: it can be {_named(choice)} and could not" for choice in left)


def breaks_between(old: Schema, new: Schema, released: Schema, current: Schema) -> list[str]:
    """As `breaks`, of parts of two schemas."""
    return list(_Comparison(released, current).of("", old, new))


def resolved(schema: Schema, whole: Schema) -> Schema:
    """A schema, or the definition that it refers to, with what stands beside the reference."""
    while "$ref" in schema:
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        schema = {**whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}
    return schema


def _named(choice: Schema) -> str:
    return str(choice.get("type") or choice.get("$ref", "").rpartition("/")[2] or choice)

"""Compares a record's schema with the released one. No IO.

Within one version of a record, every valid record stays valid, and readers that know only the released schema can read what is written now:
fields may be added but not required; none is removed, renamed, given another type or made optional. Anything else is a new version, with
another number in the record's `$schema`, written beside the old one as long as that has readers. Titles and descriptions may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
FREE = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "default", "deprecated"})
WITHIN = frozenset({"$ref", "properties", "required", "anyOf", "items", "prefixItems", "additionalProperties", "enum"})
"""Keywords compared in detail; all others must be equal."""


def incompatibilities(released: Schema, current: Schema) -> list[str]:
    """Return the incompatibilities with the released schema of the same version: one line each, with the field's path."""
    return list(_Comparison(released, current).of("", released, current))


class _Comparison:
    """Two schemas, and the pairs of definitions compared so far (a record may contain itself)."""

    def __init__(self, released: Schema, current: Schema) -> None:
        self._released, self._current = released, current
        self._compared: set[tuple[str, str]] = set()

    def of(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        """Yield the incompatibilities at a path and below it."""
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and "$ref" in new:
            if pair in self._compared:
                return
            self._compared.add(pair)
        old, new = resolve_reference(old, self._released), resolve_reference(new, self._current)
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
                yield f"{path}.{name} was removed"
            else:
                yield from self.of(f"{path}.{name}", schema, now[name])
        required_before, required_now = set(old.get("required", ())), set(new.get("required", ()))
        yield from (f"{path}.{name} was required and is optional" for name in sorted((required_before - required_now) & now.keys()))
        yield from (f"{path}.{name} is required and was not" for name in sorted(required_now - required_before))

    def _parts(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        """Compare the elements of lists and maps."""
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
        """Compare alternatives: each released one must have a compatible present one, and there must be no further ones."""
        lost, unmatched = [], list(new.get("anyOf", []))
        for choice in old.get("anyOf", []):
            like = next((other for other in unmatched if not incompatibilities_between(choice, other, self._released, self._current)), None)
            if like is None:
                lost.append(choice)
            else:
                unmatched.remove(like)
        if len(lost) == len(unmatched) == 1:
            yield from self.of(path, lost[0], unmatched[0])
            return
        yield from (f"{path}: it could be {_named(choice)} and no longer can" for choice in lost)
        yield from (f"{path}: it can be {_named(choice)} and could not" for choice in unmatched)


def incompatibilities_between(old: Schema, new: Schema, released: Schema, current: Schema) -> list[str]:
    """Return the incompatibilities between parts of two schemas, as `incompatibilities` does for whole ones."""
    return list(_Comparison(released, current).of("", old, new))


def resolve_reference(schema: Schema, whole: Schema) -> Schema:
    """Return a schema, or the definition that it refers to, together with the keywords beside the reference."""
    while "$ref" in schema:
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        schema = {**whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}
    return schema


def _named(choice: Schema) -> str:
    return str(choice.get("type") or choice.get("$ref", "").rpartition("/")[2] or choice)

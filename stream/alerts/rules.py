"""The table of alert rules: the built-in ones, and those of the user."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from ingest.problem import Problem
from stream.records import HORIZONS_HOURS, MAGNITUDES

BUILT_IN = Path(__file__).with_suffix(".toml")
Kind = Literal["probability", "gain", "magnitude", "busy", "quiet", "calibration", "feed"]
NEEDED: dict[str, tuple[str, ...]] = {
    "probability": ("magnitude", "within", "at_least"),
    "gain": ("magnitude", "within", "at_least"),
    "magnitude": ("at_least",),
    "busy": ("at_most", "weeks"),
    "quiet": ("at_most", "weeks"),
    "calibration": ("at_most", "weeks"),
    "feed": ("at_least",),
}
"""By kind, the keys that a rule must have."""
LONGEST_HOURS = 10 * 365.25 * 24.0
"""Of what a rule gives in hours or minutes."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The conditions under which an alert begins, is revised and ends."""

    name: str
    kind: Kind
    regions: tuple[str, ...] = ()
    """Regions that the rule applies to; empty for all."""
    magnitude: float | None = None
    within: str | None = None
    at_least: float | None = None
    """The alert begins when the value is at least this; either `at_least` or `at_most` is given."""
    at_most: float | None = None
    """The alert begins when the value is at most this."""
    release: float | None = None
    """The alert ends when the value is on the other side of this one (hysteresis); by default the value at which it begins."""
    least_probability: float = 0.0
    """For gains: no alert below this probability."""
    weeks: int | None = None
    least_events: int = 1
    """For rules that count over weeks: how many."""
    expires_hours: float = 24.0
    minimum_interval_minutes: float = 60.0
    """Minimum time between two revisions; the first, the last and retractions do not wait."""
    change: float = 1.5
    """The alert is revised when its value has changed by this factor since the last revision; for magnitudes, by 0.1."""
    enabled: bool = True

    @property
    def threshold(self) -> float:
        """The value at which the alert begins."""
        return self.at_least if self.at_least is not None else self.at_most if self.at_most is not None else math.nan

    @property
    def end(self) -> float:
        """The value beyond which the alert ends."""
        return self.threshold if self.release is None else self.release

    def begins(self, value: float) -> bool:
        """Return whether an alert begins at this value."""
        return value >= self.threshold if self.at_least is not None else value <= self.threshold

    def continues(self, value: float) -> bool:
        """Return whether an alert that has begun continues at this value."""
        return value >= self.end if self.at_least is not None else value <= self.end


def load_rules(file: Path | None = None) -> tuple[Rule, ...]:
    """Load the built-in rules and those of a file, sorted by name, without those that are not enabled.

    Raises:
        Problem: the file is missing or is not TOML, or a rule is not valid.
    """
    rules = _read(BUILT_IN) | (_read(file) if file is not None else {})
    return tuple(rule for _, rule in sorted(rules.items()) if rule.enabled)


def _read(file: Path) -> dict[str, Rule]:
    try:
        rows = tomllib.loads(file.read_text(encoding="utf-8")).get("rule", [])
        rules = [_check_rule(msgspec.convert(row, Rule)) for row in rows]
    except OSError as error:
        raise Problem(
            f"cannot read the alert rules in {file} ({error.strerror})", "name an existing TOML file with --alert-rules"
        ) from None
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Problem(f"{file} is not a table of alert rules: {error}", "compare it with stream/alerts/rules.toml") from None
    if len({rule.name for rule in rules}) < len(rules):
        raise Problem(f"{file} has two rules of the same name", "give each rule a name of its own")
    return {rule.name: rule for rule in rules}


def _check_rule(rule: Rule) -> Rule:
    """Return the rule.

    Raises:
        ValueError: the rule is not valid.
    """
    values: dict[str, Any] = msgspec.structs.asdict(rule)
    if missing := [key for key in NEEDED[rule.kind] if values[key] is None]:
        raise ValueError(f"rule {rule.name} of kind {rule.kind} needs {', '.join(missing)}")
    if rule.within is not None and rule.within not in HORIZONS_HOURS:
        raise ValueError(f"rule {rule.name}: within must be one of {', '.join(HORIZONS_HOURS)}")
    if rule.kind in ("probability", "gain") and rule.magnitude not in MAGNITUDES:
        raise ValueError(f"rule {rule.name}: magnitude must be one of {', '.join(f'{magnitude:g}' for magnitude in MAGNITUDES)}")
    if (rule.at_least is None) == (rule.at_most is None) or not math.isfinite(rule.threshold):
        raise ValueError(f"rule {rule.name} needs one of at_least and at_most")
    if rule.begins(rule.threshold) and not rule.continues(rule.threshold):
        raise ValueError(
            f"rule {rule.name}: the alert would end at the value where it begins; move release to the other side of the threshold"
        )
    lasts = 0.0 < rule.expires_hours <= LONGEST_HOURS and 0.0 <= rule.minimum_interval_minutes <= 60.0 * LONGEST_HOURS
    if not (lasts and rule.change >= 1.0 and (rule.weeks or 1) >= 1):
        raise ValueError(
            f"rule {rule.name}: expires_hours and weeks must be positive, minimum_interval_minutes not negative, both at most ten years,"
            " and change at least 1"
        )
    if not rule.name or any(not (letter.isalnum() or letter in "-_") for letter in rule.name):
        raise ValueError(f"rule {rule.name!r}: a name may have letters, digits, - and _ only")
    return rule

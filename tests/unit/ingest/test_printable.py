"""Text from outside cannot steer a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.printable import printable


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs") for letter in printable(text))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_json_string_means_the_same_as_before(text: str) -> None:
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", ["Nurdağı, Türkiye", "東京都", "Pāhala – “Hawaii”", "مصر"])
def test_names_of_places_stay(text: str) -> None:
    assert printable(text) == text


def test_an_escape_sequence_is_shown_as_text() -> None:
    assert printable("\x1b[2J\x9b1mquake\nnew line\u202e") == r"\u001b[2J\u009b1mquake\u000anew line\u202e"

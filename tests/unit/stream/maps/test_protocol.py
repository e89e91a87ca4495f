"""The magnitude bins of a map."""

from __future__ import annotations

import msgspec
import pytest

from stream.maps import map_magnitudes
from tests.support.simulated import REGION


@pytest.mark.parametrize(
    ("completeness", "edges"),
    [
        (2.5, (2.5, 3.0, 4.0, 5.0, 6.0, 7.0)),
        (3.0, (3.0, 4.0, 5.0, 6.0, 7.0)),
        (4.5, (4.5, 5.0, 6.0, 7.0)),
    ],
)
def test_the_bins_begin_at_completeness_and_then_at_each_whole_magnitude(completeness: float, edges: tuple[float, ...]) -> None:
    assert map_magnitudes(msgspec.structs.replace(REGION, magnitude_of_completeness=completeness)) == edges

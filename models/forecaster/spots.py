"""Where the next event is likely, as the forecast's record says it: the most likely cells of half a degree."""

from __future__ import annotations

from functools import lru_cache

from ingest.region import Region, RegionTable
from models.forecaster.cell_law import CellLaw, PlaceWeights, read_place_weights
from models.tectonics import NO_SHARES, RegionShares, read_long_run_map, shares_within
from stream.records import Spot, Where, rounded

MOST_SPOTS = 5


class RegionalPlaces:
    """The long-run map and the weights of each region as the live forecaster uses them.

    Args:
        table: the shapes of the regions; of a region that it does not have, the long-run map is not used.
    """

    def __init__(self, table: RegionTable | None) -> None:
        self._table, self._weights = table, read_place_weights()
        self.long_run = lru_cache(maxsize=None)(self._long_run_of)

    def weights(self, region: Region) -> PlaceWeights:
        return self._weights.of(region.magnitude_of_completeness)

    def _long_run_of(self, region_id: str) -> RegionShares:
        if self._table is None or region_id not in self._table:
            return NO_SHARES
        return shares_within(read_long_run_map(), self._table.shape(region_id))


def where_record(law: CellLaw) -> Where:
    """Return the most likely cells; the rest of the probability is elsewhere in the region."""
    numbers, probabilities = law.largest(MOST_SPOTS)
    latitudes, longitudes = read_long_run_map().centres_of(numbers)
    cells = zip(latitudes.tolist(), longitudes.tolist(), probabilities.tolist(), strict=True)
    spots = [Spot(latitude, longitude, rounded(probability)) for latitude, longitude, probability in cells]
    return Where(spots, rounded(max(1.0 - sum(spot.probability for spot in spots), 0.0)))

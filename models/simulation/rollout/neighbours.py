"""The neighbour geometry of the new events of many paths: `models.place.neighbour_geometry` for P pasts at once.

A new event lies near its *root*, the event before the moment from which it descends. Its nearest earlier events are therefore searched
among the root's nearest, a list that is computed once. Let d be the distance to the farthest that is needed, δ that to the root, and r the
reach of the root's list. By the triangle inequality no nearer event can be missing when d + δ ≤ r; where this does not hold, all of the
past is searched. Sums over the nearest use a distance threshold, in single precision, so only distances are sorted, never events.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray, IntArray, fast_offsets_km
from models.place import NEAREST, RANKS, SCALES, NeighbourGeometry, moment_geometry
from models.simulation.rollout.places import OwnEvents
from models.simulation.rollout.start import Start

SingleArray = NDArray[np.float32]

LISTED = 176
OWN_NEIGHBOURS = 512
"""How many of a path's own latest events are searched."""
_SAFETY = 0.99


class Neighbours:
    """Searches the neighbours of new events among the past's and the paths' own events, for one block."""

    def __init__(self, start: Start, narrowest_km: float) -> None:
        self._start, self._narrowest, self._widest = start, narrowest_km, float(np.sqrt(start.area_km2))
        count = len(start.days)
        self._all = count <= LISTED
        self._lists = np.zeros((0 if self._all else count, LISTED), np.int64)
        self._reach = np.full(count, -1.0)  # of each list, km; negative: the list has not been computed

    def around(self, own: OwnEvents, places: FloatArray, positions: FloatArray, roots: IntArray) -> NeighbourGeometry:
        """Return the geometry of the nearest earlier events of each new event.

        Args:
            places, positions: (P, 3) of the new events; `roots`: (P,) as in `models.simulation.rollout.places.Discs`.
        """
        late = own["places"][-OWN_NEIGHBOURS:].transpose(1, 0, 2)  # (P, O, 3)
        if self._all:
            return self._geometry(
                places, np.concatenate((np.broadcast_to(self._start.places, (len(places), *self._start.places.shape)), late), 1)
            )
        listed, safe = self._listed(places, positions, roots)
        return self._geometry(places, np.concatenate((self._start.places[listed], late), 1), safe, positions)

    def _listed(self, places: FloatArray, positions: FloatArray, roots: IntArray) -> tuple[IntArray, FloatArray]:
        """Return rows of the past, (P, LISTED), and the squared distance within which that list is complete, (P,) km²."""
        start = self._start
        assert start.tree is not None
        has_root = roots >= 0
        new = np.unique(roots[has_root & (self._reach[roots] < 0.0)])
        if len(new):
            distances, self._lists[new] = start.tree.query(start.positions_km[new], k=LISTED)
            self._reach[new] = distances[:, -1]
        listed = self._lists[roots]
        apart = np.sqrt(np.square(positions - start.positions_km[roots]).sum(1))
        safe = _SAFETY * np.where(has_root, self._reach[roots] - apart, -1.0)
        return listed, np.where(safe > 0.0, safe * safe, -1.0)

    def _geometry(
        self, places: FloatArray, others: FloatArray, safe: FloatArray | None = None, positions: FloatArray | None = None
    ) -> NeighbourGeometry:
        """Return the geometry among the candidates, or among the past's nearest where the candidates may be incomplete.

        Args:
            places: (P, 3) of the new events; `positions`: the same in km.
            others: (P, N, 3) the candidates.
            safe: (P,) km², the squared distance within which they are complete; None: they are all earlier events.
        """
        east, north = _offsets(places, others)
        squares = east * east + north * north  # (P, N)
        found = min(NEAREST, squares.shape[1])
        ranked = np.sort(squares, axis=1)[:, :found]
        if safe is not None and positions is not None:
            self._search(np.flatnonzero(ranked[:, -1] > safe), places, positions, others, east, north, squares, ranked)
        return self._geometry_of_ranked(east, north, squares, ranked)

    def _search(
        self, rows: IntArray, places: FloatArray, positions: FloatArray, others: FloatArray, east: SingleArray, north: SingleArray,
        squares: SingleArray, ranked: SingleArray,
    ) -> None:  # fmt: skip
        """Replace, in place, the root's neighbours by the past's nearest for the rows whose list does not reach far enough."""
        if not len(rows):
            return
        assert self._start.tree is not None
        listed = self._start.tree.query(positions[rows], k=LISTED)[1]
        others = np.concatenate((self._start.places[listed], others[rows, LISTED:]), 1)
        east[rows], north[rows] = _offsets(places[rows], others)
        squares[rows] = east[rows] ** 2 + north[rows] ** 2
        ranked[rows] = np.sort(squares[rows], axis=1)[:, : ranked.shape[1]]

    def _geometry_of_ranked(self, east: SingleArray, north: SingleArray, squares: SingleArray, ranked: SingleArray) -> NeighbourGeometry:
        """Return the geometry from offsets and squared distances (P, N), and the smallest squared distances in order (P, n)."""
        paths, found = ranked.shape
        distances = np.full((paths, len(RANKS)), self._widest)
        there = found >= RANKS
        distances[:, there] = np.sqrt(ranked[:, RANKS[there] - 1])
        moments = np.zeros((3, paths, len(SCALES)))
        products = (east * east, north * north, east * north)
        for scale, count in enumerate(SCALES.tolist() if found else []):
            within = (squares <= ranked[:, min(count, found) - 1, None]).astype(np.float32)
            sums = within.sum(1)
            for kind, product in enumerate(products):
                moments[kind, :, scale] = np.einsum("pn,pn->p", within, product) / sums
        return moment_geometry(moments, distances, self._narrowest)


def _offsets(places: FloatArray, others: FloatArray) -> tuple[SingleArray, SingleArray]:
    """Return how far east and north the others lie, km, in single precision: (P, 3), (P, N, 3) -> (P, N), (P, N)."""
    east, north = fast_offsets_km(places[:, None], others)
    return east.astype(np.float32), north.astype(np.float32)

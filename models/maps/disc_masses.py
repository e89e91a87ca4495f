"""How much of each spatial kernel falls into each cell of a map.

The kernels are the stretched discs of `models.place.kernels`, K = ρ d^ρ/π · (u²/s² + v² s² + d)^−(1+ρ), of mass 1. In coordinates
(u/s, v s) a disc is round, and a cell, a rectangle of sides a and b, becomes a parallelogram of the same area.

Far from the disc's centre, where q = u²/s² + v² s² + d is large beside the cell, its mass is a b (K + (a² K_ee + b² K_nn)/24) at the cell's
centre (the midpoint rule with its next term; e east, n north).

Near it, the mass is a sum over the four sides, each with the triangle from the disc's centre to it, signed by the side on which the centre
lies. At a distance h from the side's line, with F(r²) = 1 − (d/(r² + d))^ρ the mass within r,

    mass = 1/(2π) ∫ F dφ = 1/(2π) ∫ F(h² cosh² y) / cosh y dy,     h sinh y = the way along the side from the foot of the perpendicular

by Gauss–Legendre with five nodes on pieces of length at most 2: right to 1 in 10^5, however narrow the disc.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from models.maps.cells import Cells
from models.numerics import FloatArray
from models.place import disc_density, offset_km, stretched_squares

NEAR = 12.0
"""A cell is near where q is below so many times the square of its longer side, stretched."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
_LONGEST_PIECE = 2.0
_SMALLEST_HEIGHT_KM = 1e-9


class Discs(NamedTuple):
    """D discs with weights for each of H maps."""

    places: FloatArray
    """(D, 3) of the centres, as `models.numerics.places`."""
    directions: FloatArray
    """(D, 2) unit vectors, east and north: along which each is stretched."""
    log_widths: FloatArray
    """(D,) ln d, d in km²."""
    log_stretches: FloatArray
    """(D,) ln s."""
    powers: FloatArray
    """(D,) ρ."""
    weights: FloatArray
    """(D, H)"""

    def at_least(self, share: float) -> Discs:
        """Return the discs that have at least this share of the weights of any map."""
        totals = np.maximum(self.weights.sum(0), 1e-300)  # (H,)
        return Discs(*(part[(self.weights >= share * totals).any(1)] for part in self))


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _triangle_mass(
    ax: float, ay: float, bx: float, by: float, log_width: float, power: float, nodes: FloatArray, weights: FloatArray
) -> float:
    # 2π times the mass of the triangle from the centre to the side from a to b; negative if the centre lies on the right of it.
    along_x, along_y = bx - ax, by - ay
    length = math.hypot(along_x, along_y)
    turn = (ax * by - ay * bx) / length
    height = abs(turn)
    if height < _SMALLEST_HEIGHT_KM:
        return 0.0
    low = math.asinh((ax * along_x + ay * along_y) / length / height)
    high = math.asinh((bx * along_x + by * along_y) / length / height)
    width = math.exp(log_width)
    pieces = int((high - low) / _LONGEST_PIECE) + 1
    half = 0.5 * (high - low) / pieces
    total = 0.0
    for piece in range(pieces):
        for n in range(len(nodes)):
            cosine = math.cosh(low + half * (2.0 * piece + 1.0 + nodes[n]))
            within = -math.expm1(power * (log_width - math.log(height * height * cosine * cosine + width)))
            total += weights[n] * within / cosine
    return math.copysign(half * total, turn)


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _near_mass(
    offset: tuple[float, float], sides: tuple[float, float], direction: FloatArray, log_width: float, stretch: float, power: float,
    nodes: FloatArray, weights: FloatArray,
) -> float:  # fmt: skip
    # The mass of one cell, side by side, counterclockwise from its south-western corner.
    corners = np.empty((4, 2))
    for corner in range(4):
        east = offset[0] + (0.5 if corner in (1, 2) else -0.5) * sides[0]
        north = offset[1] + (0.5 if corner >= 2 else -0.5) * sides[1]
        corners[corner, 0] = (east * direction[0] + north * direction[1]) / stretch
        corners[corner, 1] = (north * direction[0] - east * direction[1]) * stretch
    total = 0.0
    for corner in range(4):
        here, there = corners[corner], corners[(corner + 1) % 4]
        total += _triangle_mass(here[0], here[1], there[0], there[1], log_width, power, nodes, weights)
    return total / (2.0 * math.pi)


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _far_mass(
    offset: tuple[float, float],
    sides: tuple[float, float],
    direction: FloatArray,
    squeeze: float,
    density: float,
    wide: float,
    power: float,
) -> float:
    # With K = c q^−(1+ρ): K_ee = (1 + ρ) K/q · ((2 + ρ) q_e²/q − q_ee), and the same for north.
    along = (offset[0] * direction[0] + offset[1] * direction[1]) * squeeze
    across = (offset[1] * direction[0] - offset[0] * direction[1]) / squeeze
    by_east, by_north = 2.0 * (along * direction[0] - across * direction[1]), 2.0 * (along * direction[1] + across * direction[0])
    first, second = direction[0] * direction[0], direction[1] * direction[1]
    curve_east = (2.0 + power) * by_east * by_east / wide - 2.0 * (squeeze * first + second / squeeze)
    curve_north = (2.0 + power) * by_north * by_north / wide - 2.0 * (squeeze * second + first / squeeze)
    bend = (1.0 + power) / wide * (sides[0] * sides[0] * curve_east + sides[1] * sides[1] * curve_north) / 24.0
    mass: float = sides[0] * sides[1] * density * (1.0 + bend)
    return mass


# For each cell, over all discs: the disc's mass in the cell, times each of its weights.
@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def _masses(
    centres: FloatArray,
    widths_km: FloatArray,
    height_km: float,
    nodes: FloatArray,
    weights: FloatArray,
    places: FloatArray,
    directions: FloatArray,
    log_widths: FloatArray,
    log_stretches: FloatArray,
    powers: FloatArray,
    disc_weights: FloatArray,
) -> FloatArray:  # fmt: skip
    masses = np.zeros((len(centres), disc_weights.shape[1]))
    for c in numba.prange(len(centres)):
        sides = (widths_km[c], height_km)
        longest = max(sides[0], sides[1])
        for j in range(len(places)):
            offset = offset_km(places[j], centres[c])
            squeeze = math.exp(-2.0 * log_stretches[j])
            along, across = stretched_squares(offset, directions[j], squeeze)
            if along + across < NEAR * longest * longest * max(squeeze, 1.0 / squeeze):
                stretch = math.exp(log_stretches[j])
                mass = _near_mass(offset, sides, directions[j], log_widths[j], stretch, powers[j], nodes, weights)
            else:
                density, wide, _ = disc_density(along + across, log_widths[j], powers[j])
                mass = _far_mass(offset, sides, directions[j], squeeze, density, wide, powers[j])
            for h in range(disc_weights.shape[1]):
                masses[c, h] += mass * disc_weights[j, h]
    return masses


def disc_masses(cells: Cells, discs: Discs) -> FloatArray:
    """Return Σ over the discs of weight × the disc's mass in the cell, (H, C)."""
    arguments: tuple[FloatArray, ...] = tuple(np.ascontiguousarray(part) for part in discs)
    masses: FloatArray = _masses(cells.places, cells.widths_km, cells.height_km, _NODES, _WEIGHTS, *arguments)
    return np.ascontiguousarray(masses.T)

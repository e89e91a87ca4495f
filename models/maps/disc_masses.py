"""How much of each spatial kernel falls into each cell of a map.

The kernels are the stretched discs of `models.place.kernels`, K = ρ d^ρ/π · (u²/s² + v² s² + d)^−(1+ρ), of mass 1. In coordinates
(u/s, v s) a disc is round, and a cell, a rectangle of sides a and b, becomes a parallelogram of the same area.

Far from the disc's centre, where q = u²/s² + v² s² + d is large beside the cell, its mass is a b (K + (a² K_ee + b² K_nn)/24) at the cell's
centre (the midpoint rule with its next term; e east, n north).

Near it, the mass is a sum over the four sides, each with the triangle from the disc's centre to it, signed by the side on which the centre
lies. At a distance h from the side's line, with F(r²) = 1 − (d/(r² + d))^ρ the mass within r,

    mass = 1/(2π) ∫ F dφ = 1/(2π) ∫ F(h² cosh² y) / cosh y dy,     h sinh y = the way along the side from the foot of the perpendicular

by Gauss–Legendre with five nodes on pieces of length at most 2: right to 1 in 10^5, however narrow the disc. Farther away the error is
below 1 % of a cell's mass.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from models.maps.cells import Cells
from models.numerics import FloatArray, compiled, compiled_with
from models.place import offset_km

NEAR = 6.0
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


@compiled
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


@compiled
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


class _Shapes(NamedTuple):
    """What the sum over cells needs of each disc, (D,) each."""

    squeezes: FloatArray
    """s^−2; its inverse comes next."""
    inverses: FloatArray
    widths: FloatArray
    """d, km²."""
    amplitudes: FloatArray
    """ρ d^ρ/π."""
    east: FloatArray
    """q_ee/2, then q_nn/2."""
    north: FloatArray


def _shapes_of(discs: Discs) -> _Shapes:
    squeezes, inverses = np.exp(-2.0 * discs.log_stretches), np.exp(2.0 * discs.log_stretches)
    along, across = np.square(discs.directions).T
    curves = squeezes * along + inverses * across, squeezes * across + inverses * along
    return _Shapes(squeezes, inverses, np.exp(discs.log_widths), discs.powers / math.pi * np.exp(discs.powers * discs.log_widths), *curves)


# For each cell, over all discs: the disc's mass in the cell, times each of its weights. Far from a disc, with K = c q^−(1+ρ):
# K_ee = (1 + ρ) K/q · ((2 + ρ) q_e²/q − q_ee), and the same for north.
@compiled_with(parallel=True)
def _masses(
    centres: FloatArray,
    widths_km: FloatArray,
    height_km: float,
    nodes: FloatArray,
    node_weights: FloatArray,
    squeezes: FloatArray,
    inverses: FloatArray,
    widths: FloatArray,
    amplitudes: FloatArray,
    east: FloatArray,
    north: FloatArray,
    places: FloatArray,
    directions: FloatArray,
    log_widths: FloatArray,
    log_stretches: FloatArray,
    powers: FloatArray,
    weights: FloatArray,
) -> FloatArray:
    masses = np.zeros((len(centres), weights.shape[1]))
    for c in numba.prange(len(centres)):
        sides = (widths_km[c], height_km)
        near = NEAR * max(sides[0], sides[1]) ** 2
        for j in range(len(places)):
            offset, x, y = offset_km(places[j], centres[c]), directions[j, 0], directions[j, 1]
            along, across = offset[0] * x + offset[1] * y, offset[1] * x - offset[0] * y
            pulled, pushed, power = along * squeezes[j], across * inverses[j], powers[j]
            wide = along * pulled + across * pushed + widths[j]
            if wide < near * max(squeezes[j], inverses[j]):
                mass = _near_mass(offset, sides, directions[j], log_widths[j], math.exp(log_stretches[j]), power, nodes, node_weights)
            else:
                by_east, by_north = pulled * x - pushed * y, pulled * y + pushed * x  # q_e/2, q_n/2
                steep, once = 2.0 * (2.0 + power) / wide, (1.0 + power) / (12.0 * wide)
                bend = sides[0] ** 2 * (steep * by_east * by_east - east[j]) + sides[1] ** 2 * (steep * by_north * by_north - north[j])
                mass = sides[0] * sides[1] * amplitudes[j] * math.exp(-(1.0 + power) * math.log(wide)) * (1.0 + once * bend)
            for h in range(weights.shape[1]):
                masses[c, h] += mass * weights[j, h]
    return masses


def disc_masses(cells: Cells, discs: Discs) -> FloatArray:
    """Return Σ over the discs of weight × the disc's mass in the cell, (H, C)."""
    arguments: tuple[FloatArray, ...] = tuple(np.ascontiguousarray(part) for part in (*_shapes_of(discs), *discs))
    masses: FloatArray = _masses(cells.places, cells.widths_km, cells.height_km, _NODES, _WEIGHTS, *arguments)
    return np.ascontiguousarray(masses.T)

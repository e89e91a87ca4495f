// Draws the cells of a map on a canvas: one path for each colour, so that thousands take some milliseconds.
import type { GeoProjection } from "d3-geo";
import type { Square } from "./gridded";

const OPACITY = 0.85;
/** A side is drawn through points at most so many degrees apart, because it is no straight line in the projection. */
const LONGEST_SIDE = 1;

export function drawCells(
  pen: CanvasRenderingContext2D,
  cells: readonly Square[],
  projection: GeoProjection,
  colours: readonly string[],
): void {
  pen.save();
  pen.globalAlpha = OPACITY;
  for (const [colour, fill] of colours.entries()) {
    pen.beginPath();
    for (const cell of cells) if (cell.colour === colour) trace(pen, cell, projection);
    pen.fillStyle = fill;
    pen.fill();
  }
  pen.restore();
}

function trace(pen: CanvasRenderingContext2D, cell: Square, projection: GeoProjection): void {
  for (const [index, corner] of outline(cell).entries()) {
    const point = projection(corner);
    if (point === null) return;
    if (index === 0) pen.moveTo(...point);
    else pen.lineTo(...point);
  }
  pen.closePath();
}

/** Returns the points along the sides of a cell, counter-clockwise from its south-western corner, longitude first. */
export function outline({ south, west, size }: Square): [number, number][] {
  const steps = Math.max(1, Math.ceil(size / LONGEST_SIDE));
  const along = [...Array(steps).keys()].map((step) => (size * step) / steps);
  return [
    ...along.map((way): [number, number] => [west + way, south]),
    ...along.map((way): [number, number] => [west + size, south + way]),
    ...along.map((way): [number, number] => [west + size - way, south + size]),
    ...along.map((way): [number, number] => [west, south + size - way]),
  ];
}

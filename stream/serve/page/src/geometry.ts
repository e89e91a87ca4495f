// Converts the regions of the API into polygons on the sphere.
import { geoArea } from "d3-geo";
import type { MultiLineString, MultiPolygon, Polygon, Position } from "geojson";

const STEP_DEGREES = 2;
const HEMISPHERE = 2 * Math.PI;

/**
 * Returns a region as a polygon on the sphere. Its sides are straight in latitude and longitude, but those of a polygon on the sphere are
 * great circles, so points are added between its corners.
 */
export function sphericalPolygon(shape: Polygon | MultiPolygon): MultiPolygon {
  const parts = shape.type === "Polygon" ? [shape.coordinates] : shape.coordinates;
  return { type: "MultiPolygon", coordinates: parts.map((rings) => oriented(rings.map(withPointsBetween))) };
}

/** Returns the outline without the seam along the date line, where the two halves of a region meet. */
export function outline(shape: MultiPolygon): MultiLineString {
  const lines: Position[][] = [];
  for (const ring of shape.coordinates.flat()) {
    let line: Position[] = [];
    for (const [index, point] of ring.entries()) {
      const before = ring[index - 1];
      if (before !== undefined && isSeam(before) && isSeam(point)) {
        if (line.length > 1) lines.push(line);
        line = [];
      }
      line.push(point);
    }
    if (line.length > 1) lines.push(line);
  }
  return { type: "MultiLineString", coordinates: lines };
}

function isSeam(point: Position): boolean {
  return Math.abs(point[0] ?? 0) >= 180 - 1e-9 || Math.abs(point[1] ?? 0) >= 90 - 1e-9;
}

function withPointsBetween(ring: Position[]): Position[] {
  const points: Position[] = [];
  for (const [index, corner] of ring.entries()) {
    const next = ring[index + 1];
    points.push(corner);
    if (next === undefined) continue;
    const [x = 0, y = 0] = corner;
    const [toX = 0, toY = 0] = next;
    const steps = Math.ceil(Math.max(Math.abs(toX - x), Math.abs(toY - y)) / STEP_DEGREES);
    for (let step = 1; step < steps; step += 1) points.push([x + ((toX - x) * step) / steps, y + ((toY - y) * step) / steps]);
  }
  return points;
}

/** Orients rings for d3: outer rings clockwise (GeoJSON: anticlockwise). A ring of the wrong orientation encloses the rest of the world. */
function oriented(rings: Position[][]): Position[][] {
  return rings.map((ring, index) => {
    const large = geoArea({ type: "Polygon", coordinates: [ring] }) > HEMISPHERE;
    const isHole = index > 0;
    return large === isHole ? ring : [...ring].reverse();
  });
}

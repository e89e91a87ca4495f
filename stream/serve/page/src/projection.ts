// Where things are on the map: the Pacific in the middle, so that its ring of earthquakes is whole.
import { geoNaturalEarth1, type GeoProjection } from "d3-geo";

const MIDDLE_LONGITUDE = 155;
const SHAPE = 0.5; // height by width

/** How far the map is zoomed and moved, as d3-zoom has it. */
export interface View {
  k: number;
  x: number;
  y: number;
}

export function heightFor(width: number): number {
  return Math.round(width * SHAPE);
}

export function projection(width: number, view: View): GeoProjection {
  const height = heightFor(width);
  const whole = geoNaturalEarth1()
    .rotate([-MIDDLE_LONGITUDE, 0])
    .fitExtent(
      [
        [1, 1],
        [width - 1, height - 1],
      ],
      { type: "Sphere" },
    );
  const [x, y] = whole.translate();
  return whole
    .scale(whole.scale() * view.k)
    .translate([x * view.k + view.x, y * view.k + view.y])
    .clipExtent([
      [-4, -4],
      [width + 4, height + 4],
    ]);
}

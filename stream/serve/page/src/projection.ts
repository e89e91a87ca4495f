// The projection of the map, centred on the Pacific, so that the earthquakes around it are not divided.
import { geoNaturalEarth1, type GeoProjection } from "d3-geo";

const MIDDLE_LONGITUDE = 155;
const ASPECT = 0.5; // height divided by width

/** Zoom factor and translation of the map, as in d3-zoom. */
export interface View {
  k: number;
  x: number;
  y: number;
}

export function heightFor(width: number): number {
  return Math.round(width * ASPECT);
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

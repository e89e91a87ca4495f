// Where the next event is expected: recent events, and the most likely half-degree cells.
import { geoMercator, geoPath } from "d3-geo";
import type { MultiPolygon } from "geojson";
import type { Quake } from "./catalogue";
import type { Coast } from "./coast";
import { Figure, HEIGHT, WIDTH } from "./chart";
import { svg } from "./element";
import { fillOf, place as marksOf } from "./event_marks";
import { outline, sphericalPolygon } from "./geometry";
import type { Forecast, Region, Spot } from "./records";
import { place, share } from "./words";

const CELL_DEGREES = 0.5;
const MOST_EVENTS = 400;
const FINE_FROM_SCALE = 400;
const EARTH_RADIUS_KM = 6371;

export class WhereFigure {
  private readonly figure = new Figure("Where");
  readonly element = this.figure.element;

  constructor(private readonly coast: Coast) {}

  show(region: Region, forecast: Forecast, quakes: readonly Quake[]): void {
    const where = forecast.where;
    this.element.hidden = !where;
    if (!where) return;
    const shape = region.geometry === null ? null : sphericalPolygon(region.geometry);
    const spots = where.spots.filter((spot) => spot.probability > 0);
    const picture = this.map(shape, spots, quakes.slice(0, MOST_EVENTS));
    const first = spots[0];
    const sentence =
      (first === undefined ? "" : `Most likely near ${place(first.latitude, first.longitude)} (${share(first.probability)}). `) +
      `Elsewhere in the region: ${share(where.elsewhere)}. Squares: half-degree cells, darker where it is likelier. Circles: events.`;
    const rows = spots.map((spot) => [place(spot.latitude, spot.longitude), share(spot.probability)]);
    this.figure.show(sentence, picture, ["half-degree cell", "probability"], [...rows, ["elsewhere", share(where.elsewhere)]]);
  }

  private map(shape: MultiPolygon | null, spots: readonly Spot[], quakes: readonly Quake[]): SVGSVGElement {
    const focus = {
      type: "MultiPoint" as const,
      coordinates: [...spots.flatMap(corners), ...quakes.slice(0, 60).map((q): [number, number] => [q.longitude, q.latitude])],
    };
    const middle = spots[0]?.longitude ?? quakes[0]?.longitude ?? 0;
    const edge = 14;
    const projected = geoMercator().rotate([-middle, 0]);
    if (focus.coordinates.length > 0)
      projected.fitExtent(
        [
          [edge, edge],
          [WIDTH - edge, HEIGHT - edge],
        ],
        focus,
      );
    projected.scale(Math.min(projected.scale(), 12_000)).clipExtent([
      [0, 0],
      [WIDTH, HEIGHT],
    ]);
    const path = geoPath(projected).digits(1);
    const picture = svg("svg", { class: "chart where", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Map of the region" });
    const land = this.coast.at(projected.scale() > FINE_FROM_SCALE ? 40 : 1);
    if (land !== null) picture.append(svg("path", { class: "land", d: path(land) ?? "" }));
    if (shape !== null) picture.append(svg("path", { class: "border", d: path(outline(shape)) ?? "" }));
    const most = Math.max(...spots.map((spot) => spot.probability), 1e-9);
    for (const spot of spots) {
      const [west, north, east, south] = box(spot);
      const [left, top] = projected([west, north]) ?? [0, 0];
      const [right, bottom] = projected([east, south]) ?? [0, 0];
      const cell = svg("rect", { class: "spot", x: left, y: top, width: Math.max(right - left, 2), height: Math.max(bottom - top, 2) });
      cell.style.fillOpacity = String(0.15 + 0.7 * (spot.probability / most));
      picture.append(cell);
    }
    for (const { x, y, radius } of marksOf(quakes, projected, 1, WIDTH, HEIGHT)) {
      const circle = svg("circle", { class: "event", cx: x.toFixed(1), cy: y.toFixed(1), r: radius.toFixed(1) });
      circle.style.fillOpacity = (0.6 * fillOf(radius)).toFixed(2);
      picture.append(circle);
    }
    const [, latitude = 0] = projected.invert?.([WIDTH / 2, HEIGHT / 2]) ?? [];
    picture.append(...scaleBar(projected.scale() / Math.cos((latitude * Math.PI) / 180)));
    return picture;
  }
}

/** Returns a scale bar of a round number of kilometres, at most a quarter of the picture long. */
function scaleBar(radius: number): SVGElement[] {
  const pixelsPerKilometre = radius / EARTH_RADIUS_KM;
  const kilometres = [1000, 500, 200, 100, 50, 20, 10, 5].find((each) => each * pixelsPerKilometre < WIDTH / 4) ?? 5;
  const end = 10 + kilometres * pixelsPerKilometre;
  return [
    svg("path", { class: "scale-bar", d: `M10,${HEIGHT - 14}v4H${end.toFixed(1)}v-4` }),
    svg("text", { x: end + 6, y: HEIGHT - 9 }, `${kilometres} km`),
  ];
}

function box({ latitude, longitude }: Spot): [number, number, number, number] {
  const half = CELL_DEGREES / 2;
  return [longitude - half, latitude + half, longitude + half, latitude - half];
}

function corners(spot: Spot): [number, number][] {
  const [west, north, east, south] = box(spot);
  return [
    [west - 0.5, north + 0.5],
    [east + 0.5, south - 0.5],
  ];
}

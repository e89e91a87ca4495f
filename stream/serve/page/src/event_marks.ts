// Draws events on a canvas: size by magnitude, colour by depth, paler with age, the larger the more transparent, so that the aftershocks under
// a great earthquake can be seen. Thousands take a few milliseconds.
import type { GeoProjection } from "d3-geo";
import type { Quake } from "./catalogue";
import { DAY, HOUR } from "./words";

export const DEPTH_CLASSES = [
  { from: -Infinity, words: "under 35 km", token: "--depth-0" },
  { from: 35, words: "35–70 km", token: "--depth-1" },
  { from: 70, words: "70–300 km", token: "--depth-2" },
  { from: 300, words: "over 300 km", token: "--depth-3" },
] as const;

const OPAQUE_RADIUS = 5;
/** The outline of a large circle does not fade below this opacity. */
const LARGE_OUTLINE = 0.6;

export interface Mark {
  quake: Quake;
  x: number;
  y: number;
  radius: number;
}

/** Radius of an event’s circle, in pixels. */
export function radiusOf(magnitude: number | null, zoom: number): number {
  return Math.max(1.2, 0.8 * 2 ** ((magnitude ?? 1) / 2) * (1 + 0.22 * Math.log2(zoom)));
}

/** Opacity of a circle’s inside: circles up to `OPAQUE_RADIUS` hide little, larger ones would hide a whole sequence. */
export function fillOf(radius: number): number {
  return Math.max(0.15, Math.min(1, (OPAQUE_RADIUS / radius) ** 2));
}

/** Opacity of an event: 1 when it happens, 0.12 a week later. */
export function opacityOf(ageMilliseconds: number): number {
  const days = Math.max(ageMilliseconds, 0) / DAY;
  return Math.max(0.12, 1 - 0.4 * Math.log2(1 + days * 0.7));
}

/** Places the events on the map, the largest first: the order in which they are drawn. */
export function place(quakes: readonly Quake[], projection: GeoProjection, zoom: number, width: number, height: number): Mark[] {
  const marks: Mark[] = [];
  for (const quake of quakes) {
    const point = projection([quake.longitude, quake.latitude]);
    if (point === null) continue;
    const [x, y] = point;
    if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
    marks.push({ quake, x, y, radius: radiusOf(quake.magnitude, zoom) });
  }
  return marks.sort((one, other) => other.radius - one.radius || one.quake.at - other.quake.at);
}

/** Draws the marks in their order, so that small and new ones lie on top; those of the last hour get a ring. */
export function draw(pen: CanvasRenderingContext2D, marks: readonly Mark[], now: number, colours: readonly string[], ink: string): void {
  for (const { quake, x, y, radius } of marks) {
    const age = now - quake.at;
    const opacity = opacityOf(age);
    const colour = colours[depthClass(quake.depth_km)] as string;
    pen.fillStyle = colour;
    pen.globalAlpha = opacity * fillOf(radius);
    circle(pen, x, y, radius);
    pen.fill();
    pen.globalAlpha = radius > OPAQUE_RADIUS ? Math.max(opacity, LARGE_OUTLINE) : opacity;
    if (radius > OPAQUE_RADIUS) outline(pen, colour, ink);
    else stroke(pen, ink, 0.8);
    if (age < HOUR) {
      pen.globalAlpha = 0.9;
      circle(pen, x, y, radius + 4.5);
      outline(pen, colour, ink);
    }
  }
  pen.globalAlpha = 1;
}

/** Draws the path in a colour with a border in `ink`, which is visible on every colour of a region. */
function outline(pen: CanvasRenderingContext2D, colour: string, ink: string): void {
  stroke(pen, ink, 3.6);
  stroke(pen, colour, 1.8);
}

function stroke(pen: CanvasRenderingContext2D, colour: string, width: number): void {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke();
}

function circle(pen: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
}

export function depthClass(depth: number | null): number {
  return DEPTH_CLASSES.filter((each) => (depth ?? 0) >= each.from).length - 1;
}

/** Returns the mark under a point, or else the nearest within a few pixels; of several under it, the one that is drawn last. */
export function nearest(marks: readonly Mark[], x: number, y: number): Mark | null {
  let closest: Mark | null = null;
  let best = 6;
  for (const mark of marks) {
    const distance = Math.max(0, Math.hypot(mark.x - x, mark.y - y) - mark.radius);
    if (distance <= best) {
      best = distance;
      closest = mark;
    }
  }
  return closest;
}

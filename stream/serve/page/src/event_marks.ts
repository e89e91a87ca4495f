// Draws events on a canvas: size by magnitude, colour by depth, paler with age. Thousands take a few milliseconds.
import type { GeoProjection } from "d3-geo";
import type { Quake } from "./catalogue";
import { DAY, HOUR } from "./words";

export const DEPTH_CLASSES = [
  { from: -Infinity, words: "under 35 km", token: "--depth-0" },
  { from: 35, words: "35–70 km", token: "--depth-1" },
  { from: 70, words: "70–300 km", token: "--depth-2" },
  { from: 300, words: "over 300 km", token: "--depth-3" },
] as const;

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

/** Opacity of an event: 1 when it happens, 0.12 a week later. */
export function opacityOf(ageMilliseconds: number): number {
  const days = Math.max(ageMilliseconds, 0) / DAY;
  return Math.max(0.12, 1 - 0.4 * Math.log2(1 + days * 0.7));
}

export function place(quakes: readonly Quake[], projection: GeoProjection, zoom: number, width: number, height: number): Mark[] {
  const marks: Mark[] = [];
  for (const quake of quakes) {
    const point = projection([quake.longitude, quake.latitude]);
    if (point === null) continue;
    const [x, y] = point;
    if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
    marks.push({ quake, x, y, radius: radiusOf(quake.magnitude, zoom) });
  }
  return marks;
}

/** Draws the marks, oldest first, so that the newest lie on top; those of the last hour get a ring. */
export function draw(pen: CanvasRenderingContext2D, marks: readonly Mark[], now: number, colours: readonly string[], ink: string): void {
  for (let index = marks.length - 1; index >= 0; index -= 1) {
    const { quake, x, y, radius } = marks[index] as Mark;
    const age = now - quake.at;
    pen.globalAlpha = opacityOf(age);
    pen.fillStyle = colours[depthClass(quake.depth_km)] as string;
    pen.strokeStyle = ink;
    pen.lineWidth = 0.8;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
    if (age < HOUR) ring(pen, x, y, radius + 4);
  }
  pen.globalAlpha = 1;
}

function ring(pen: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  pen.globalAlpha = 0.9;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

export function depthClass(depth: number | null): number {
  return DEPTH_CLASSES.filter((each) => (depth ?? 0) >= each.from).length - 1;
}

/** Returns the mark that is nearest to a point, within a few pixels. */
export function nearest(marks: readonly Mark[], x: number, y: number): Mark | null {
  let closest: Mark | null = null;
  let best = 6;
  for (const mark of marks) {
    const distance = Math.hypot(mark.x - x, mark.y - y) - mark.radius;
    if (distance < best) {
      best = distance;
      closest = mark;
    }
  }
  return closest;
}

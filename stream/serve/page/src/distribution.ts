// Curves through the points that a forecast gives of its distributions.
import type { Forecast } from "./records";

/** A point of a curve. */
export type Pair = readonly [x: number, y: number];

const HOURS: Record<string, number> = { "1h": 1, "1d": 24, "7d": 168, "30d": 720 };

/** P(next event within t): (hours, probability), in the order of time; never falling. */
export function waitCurve(forecast: Forecast): Pair[] {
  const points: Pair[] = [];
  for (const [probability, hours] of Object.entries(forecast.wait.quantiles_hours)) points.push([hours, Number(probability)]);
  for (const [span, probability] of Object.entries(forecast.wait.probability_within)) {
    const hours = HOURS[span];
    if (hours !== undefined) points.push([hours, probability]);
  }
  return rising(points.filter(([hours]) => hours > 0));
}

/** The curve at a moment, straight in ln t between its points and proportional to t before the first. */
export function probabilityWithin(curve: readonly Pair[], hours: number): number {
  const first = curve[0];
  if (first === undefined || hours <= 0) return 0;
  if (hours <= first[0]) return (first[1] * hours) / first[0];
  for (let index = 1; index < curve.length; index += 1) {
    const [left, low] = curve[index - 1] as Pair;
    const [right, high] = curve[index] as Pair;
    if (hours <= right) return low + ((high - low) * Math.log(hours / left)) / Math.log(right / left);
  }
  return (curve.at(-1) as Pair)[1];
}

/** P(magnitude of the next event ≥ m): (m, probability), from completeness on; never rising. */
export function magnitudeCurve(forecast: Forecast): Pair[] {
  const completeness = forecast.magnitude_of_completeness;
  const points: Pair[] = [[completeness, 1]];
  for (const [probability, value] of Object.entries(forecast.magnitude.quantiles)) points.push([value, 1 - Number(probability)]);
  for (const [value, probability] of Object.entries(forecast.magnitude.probability_at_least)) {
    if (Number(value) > completeness && probability > 0) points.push([Number(value), probability]);
  }
  return rising(points.map(([m, p]): Pair => [m, -p])).map(([m, p]): Pair => [m, -p]);
}

function rising(points: Pair[]): Pair[] {
  points.sort(([one], [other]) => one - other);
  const kept: Pair[] = [];
  for (const [x, y] of points) {
    const last = kept.at(-1);
    if (last !== undefined && x === last[0]) continue;
    kept.push([x, last === undefined ? y : Math.max(y, last[1])]);
  }
  return kept;
}

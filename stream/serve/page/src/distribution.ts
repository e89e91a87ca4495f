// Curves through the points of the distributions in a forecast.
import type { Forecast } from "./records";

/** A point of a curve. */
export type Pair = readonly [x: number, y: number];

const HOURS: Record<string, number> = { "1h": 1, "1d": 24, "7d": 168, "30d": 720 };

/** Returns P(next event within t) as points (hours, probability) in the order of time; never decreasing. */
export function waitCurve(forecast: Forecast): Pair[] {
  const points: Pair[] = [];
  for (const [probability, hours] of Object.entries(forecast.wait.quantiles_hours)) points.push([hours, Number(probability)]);
  for (const [span, probability] of Object.entries(forecast.wait.probability_within)) {
    const hours = HOURS[span];
    if (hours !== undefined) points.push([hours, probability]);
  }
  return nonDecreasing(points.filter(([hours]) => hours > 0));
}

/** Evaluates the curve: linear in ln t between its points, proportional to t before the first. */
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

/** Returns P(magnitude of the next event ≥ m) as points (m, probability) from completeness on; never increasing. */
export function magnitudeCurve(forecast: Forecast): Pair[] {
  const completeness = forecast.magnitude_of_completeness;
  const points: Pair[] = [[completeness, 1]];
  for (const [probability, value] of Object.entries(forecast.magnitude.quantiles)) points.push([value, 1 - Number(probability)]);
  for (const [value, probability] of Object.entries(forecast.magnitude.probability_at_least)) {
    if (Number(value) > completeness && probability > 0) points.push([Number(value), probability]);
  }
  return nonDecreasing(points.map(([m, p]): Pair => [m, -p])).map(([m, p]): Pair => [m, -p]);
}

function nonDecreasing(points: Pair[]): Pair[] {
  points.sort(([one], [other]) => one - other);
  const result: Pair[] = [];
  for (const [x, y] of points) {
    const last = result.at(-1);
    if (last !== undefined && x === last[0]) continue;
    result.push([x, last === undefined ? y : Math.max(y, last[1])]);
  }
  return result;
}

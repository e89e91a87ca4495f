// The time to the next event: its distribution now and before, and how the probabilities changed over time.
import { scaleLinear, scaleLog } from "d3-scale";
import { Figure, frame, INNER_HEIGHT, INNER_WIDTH, line, timeTicks, type Axis } from "./chart";
import type { Quake } from "./catalogue";
import { probabilityWithin, waitCurve, type Pair } from "./distribution";
import { svg } from "./element";
import type { Forecast } from "./records";
import type { Point } from "./series";
import { duration, magnitude, percent, shortMoment } from "./words";

const EARLIER_CURVES = 8;
const HOUR_TICKS = [
  { at: 1 / 60, text: "1 min" },
  { at: 1 / 6, text: "10 min" },
  { at: 1, text: "1 h" },
  { at: 6, text: "6 h" },
  { at: 24, text: "1 day" },
  { at: 168, text: "1 wk" },
  { at: 720, text: "1 mo" },
];
const PERCENT_TICKS = [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: `${at * 100} %` }));
const WITHIN: readonly [string, number][] = [
  ["10 minutes", 1 / 6],
  ["1 hour", 1],
  ["6 hours", 6],
  ["1 day", 24],
  ["3 days", 72],
  ["1 week", 168],
  ["1 month", 720],
];

export class WaitCurves {
  private readonly figure = new Figure("Time to the next event");
  readonly element = this.figure.element;

  show(forecast: Forecast, earlier: readonly Point<Forecast>[]): void {
    const hours = scaleLog([1 / 60, 720], [0, INNER_WIDTH]).clamp(true);
    const height = scaleLinear([0, 1], [INNER_HEIGHT, 0]);
    const x: Axis = { scale: hours, ticks: HOUR_TICKS, label: "time from the forecast" };
    const { picture, plot } = frame("Probability of the next event against time", x, {
      scale: height,
      ticks: PERCENT_TICKS,
      label: "probability",
    });
    const draw = (curve: readonly Pair[]): string => line(sampled(curve).map(([h, p]) => [hours(h), height(p)]));
    const former = spread(earlier.map((point) => point.value).filter((value) => value.id !== forecast.id));
    for (const [index, value] of former.entries()) {
      const path = svg("path", { class: "curve earlier", d: draw(waitCurve(value)) });
      path.style.opacity = String(0.15 + (0.45 * (index + 1)) / former.length);
      plot.append(path);
    }
    const curve = waitCurve(forecast);
    plot.append(svg("path", { class: "curve now", d: draw(curve) }));
    const median = forecast.wait.median_hours;
    plot.append(svg("circle", { class: "median", cx: hours(median), cy: height(0.5), r: 4 }));
    const low = forecast.wait.quantiles_hours["0.05"] ?? 0;
    const high = forecast.wait.quantiles_hours["0.95"] ?? 0;
    const sentence =
      `Median: ${duration(median * 3600)}. With a probability of 90 % it takes ${duration(low * 3600)} to ${duration(high * 3600)}. ` +
      (former.length > 0 ? "Thin lines: earlier forecasts, paler with age." : "");
    const before = former[0];
    const rows = WITHIN.map(([words, span]) => [
      `within ${words}`,
      percent(probabilityWithin(curve, span)),
      before === undefined ? "–" : percent(probabilityWithin(waitCurve(before), span)),
    ]);
    this.figure.show(
      sentence,
      picture,
      ["next event", "now", before === undefined ? "before" : `at ${shortMoment(before.issued_at)}`],
      rows,
    );
  }
}

/** Returns the curve at even steps of ln t. */
function sampled(curve: readonly Pair[]): Pair[] {
  return Array.from({ length: 61 }, (_, index): Pair => {
    const hours = Math.exp(Math.log(1 / 60) + (index / 60) * Math.log(720 * 60));
    return [hours, probabilityWithin(curve, hours)];
  });
}

/** Returns some of the forecasts, evenly spaced, oldest first. */
function spread(all: readonly Forecast[]): Forecast[] {
  if (all.length <= EARLIER_CURVES) return [...all];
  return Array.from(
    { length: EARLIER_CURVES },
    (_, index) => all[Math.round((index * (all.length - 1)) / (EARLIER_CURVES - 1))] as Forecast,
  );
}

export class Movement {
  private readonly figure = new Figure("Change over time");
  readonly element = this.figure.element;

  /** Shows the probabilities in (since, now], and the events of that time. */
  show(history: readonly Point<Forecast>[], events: readonly Quake[], since: number, now: number): void {
    const time = scaleLinear([since, now], [0, INNER_WIDTH]).clamp(true);
    const height = scaleLinear([0, 1], [INNER_HEIGHT, 0]);
    const x: Axis = { scale: time, ticks: timeTicks(since, now), label: "UTC" };
    const { picture, plot } = frame("Probability of an event, over time", x, { scale: height, ticks: PERCENT_TICKS, label: "probability" });
    for (const quake of events) {
      const size = Math.min(1, Math.max(0.06, ((quake.magnitude ?? 0) - 2) / 6));
      const left = time(quake.at);
      plot.append(svg("line", { class: "quake", x1: left, x2: left, y1: INNER_HEIGHT, y2: INNER_HEIGHT * (1 - size) }));
    }
    for (const span of ["1d", "1h"] as const) {
      plot.append(svg("path", { class: `curve span-${span}`, d: stairs(history, span, time, height, now) }));
    }
    const largest = [...events].sort((one, other) => (other.magnitude ?? 0) - (one.magnitude ?? 0))[0];
    const bars = largest === undefined ? "" : ` Bars: events; the largest has ${magnitude(largest.magnitude)}.`;
    const rows = history
      .slice(-40)
      .reverse()
      .map(({ value }) => [
        shortMoment(value.issued_at),
        cause(value),
        percent(value.wait.probability_within["1h"] ?? 0),
        percent(value.wait.probability_within["1d"] ?? 0),
      ]);
    this.figure.show(
      `Probability of an event within an hour (solid) and within a day (dashed).${bars}`,
      picture,
      ["issued (UTC)", "cause", "within 1 hour", "within 1 day"],
      rows,
    );
  }
}

/** Returns a step curve: a forecast is in force until the next one. */
function stairs(
  history: readonly Point<Forecast>[],
  span: string,
  x: (time: number) => number,
  y: (p: number) => number,
  now: number,
): string {
  const points: [number, number][] = [];
  for (const [index, { at, value }] of history.entries()) {
    const height = y(value.wait.probability_within[span] ?? 0);
    points.push([x(at), height], [x(history[index + 1]?.at ?? now), height]);
  }
  return line(points);
}

const CAUSES: Record<string, string> = {
  added: "a new event",
  updated: "an event was revised",
  deleted: "an event was deleted",
  merged: "events were merged",
  heartbeat: "time has passed without an event",
};

export function cause(forecast: Forecast): string {
  return CAUSES[forecast.cause] ?? forecast.cause;
}

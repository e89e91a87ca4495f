// The magnitude of the next event, and the probability of large events within a time span.
import { scaleLinear, scaleLog } from "d3-scale";
import { fillTable, Figure, frame, INNER_HEIGHT, INNER_WIDTH, line, type Axis } from "./chart";
import { magnitudeCurve } from "./distribution";
import { html, svg, type Child } from "./element";
import type { Forecast } from "./records";
import { number, percent } from "./words";

const LOWEST = 1e-4;
const SPANS: readonly [string, string][] = [
  ["1h", "1 hour"],
  ["1d", "1 day"],
  ["7d", "1 week"],
  ["30d", "1 month"],
];

export class MagnitudeFigure {
  private readonly figure = new Figure("Magnitude of the next event");
  readonly element = this.figure.element;

  show(forecast: Forecast): void {
    const completeness = forecast.magnitude_of_completeness;
    const top = Math.max(7.5, completeness + 3);
    const left = scaleLinear([completeness, top], [0, INNER_WIDTH]).clamp(true);
    const height = scaleLog([LOWEST, 1], [INNER_HEIGHT, 0]).clamp(true);
    const ticks = left.ticks(6).map((at) => ({ at, text: at.toFixed(1).replace(/\.0$/, "") }));
    const x: Axis = { scale: left, ticks, label: "magnitude" };
    const chances = [1, 0.1, 0.01, 0.001, 0.0001].map((at) => ({
      at,
      text: at === 1 ? "100 %" : `${Number((at * 100).toPrecision(1))} %`,
    }));
    const title = "Probability that the next event has at least this magnitude";
    const { picture, plot } = frame(title, x, { scale: height, ticks: chances, label: "probability of at least this magnitude" });
    const curve = magnitudeCurve(forecast);
    plot.append(svg("path", { class: "curve now", d: line(curve.map(([m, p]) => [left(m), height(Math.max(p, LOWEST))])) }));
    for (const [m, p] of curve.slice(1))
      if (p > LOWEST && m < top) plot.append(svg("circle", { class: "point", cx: left(m), cy: height(p), r: 2.5 }));
    const { quantiles } = forecast.magnitude;
    const sentence =
      `Only events of M ${completeness.toFixed(1)} or more count. The median is ${forecast.magnitude.median.toFixed(1)}; ` +
      `one in twenty is larger than ${(quantiles["0.95"] ?? 0).toFixed(1)}.`;
    const rows = curve.map(([m, p]) => [m.toFixed(2), percent(p)]);
    this.figure.show(sentence, picture, ["magnitude", "probability of at least this magnitude"], rows);
  }
}

export class ExceedanceTable {
  private readonly table = html("table");
  private readonly note = html("p", { class: "sentence" });
  readonly element = html(
    "section",
    { class: "figure" },
    html("h3", {}, "Large events"),
    this.note,
    html("div", { class: "scroll" }, this.table),
  );

  show(forecast: Forecast): void {
    const exceedance = forecast.exceedance;
    this.element.hidden = !exceedance;
    if (!exceedance) return;
    this.note.textContent =
      "Probability of at least one event of this magnitude, including aftershocks of aftershocks. Small numbers: how many times the long-term probability.";
    const rows = Object.keys(exceedance.probability)
      .sort()
      .map((m) => [`M ≥ ${m}`, ...SPANS.map(([span]) => chance(exceedance.probability[m]?.[span], exceedance.gain[m]?.[span]))]);
    fillTable(this.table, ["", ...SPANS.map(([, words]) => `within ${words}`)], rows);
  }
}

function chance(probability: number | undefined, gain: number | undefined): Child {
  if (probability === undefined) return "–";
  return html("span", { class: "chance" }, percent(probability), gain !== undefined && html("small", {}, ` ${number(gain)} ×`));
}

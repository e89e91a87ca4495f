// Recent forecasts beside the events that followed.
import { scaleLog } from "d3-scale";
import { Figure, frame, INNER_HEIGHT, INNER_WIDTH } from "./chart";
import { html, svg } from "./element";
import type { Outcome } from "./records";
import { duration, shortMoment } from "./words";

const MOST = 24;
const TICKS = [
  { at: 1 / 60, text: "1 min" },
  { at: 1 / 6, text: "10 min" },
  { at: 1, text: "1 h" },
  { at: 10, text: "10 h" },
  { at: 100, text: "4 days" },
  { at: 1000, text: "6 wk" },
];

export class OutcomeFigure {
  private readonly figure = new Figure("Forecast and observed");
  readonly element = this.figure.element;

  show(outcomes: readonly Outcome[]): void {
    const shown = [...outcomes].sort((one, other) => Date.parse(other.event_time) - Date.parse(one.event_time)).slice(0, MOST);
    if (shown.length === 0) {
      this.figure.show("No event has followed a forecast here yet.", html("span"), [], []);
      return;
    }
    const hours = scaleLog([1 / 120, 3000], [0, INNER_WIDTH]).clamp(true);
    const step = INNER_HEIGHT / shown.length;
    const y = { scale: (index: number) => (index + 0.5) * step, ticks: [], label: "newest on top" };
    const { picture, plot } = frame(
      "Time to the next event: forecast and observed",
      { scale: hours, ticks: TICKS, label: "time to the next event" },
      y,
    );
    for (const [index, outcome] of shown.entries()) {
      const middle = y.scale(index);
      const inside = outcome.wait_hours >= outcome.q05 && outcome.wait_hours <= outcome.q95;
      plot.append(svg("line", { class: "interval", x1: hours(outcome.q05), x2: hours(outcome.q95), y1: middle, y2: middle }));
      plot.append(
        svg("line", {
          class: "middle",
          x1: hours(outcome.median_wait_hours),
          x2: hours(outcome.median_wait_hours),
          y1: middle - 3,
          y2: middle + 3,
        }),
      );
      plot.append(mark(inside, hours(outcome.wait_hours), middle));
    }
    const within = shown.filter((outcome) => outcome.wait_hours >= outcome.q05 && outcome.wait_hours <= outcome.q95).length;
    const sentence = `${within} of ${shown.length} times were within the 5–95 % range of their forecast (expected: nine in ten). Bars: that range. Dots: observed; crosses: observed outside it.`;
    const rows = shown.map((outcome) => [
      shortMoment(outcome.event_time),
      `${duration(outcome.median_wait_hours * 3600)} (${duration(outcome.q05 * 3600)} – ${duration(outcome.q95 * 3600)})`,
      duration(outcome.wait_hours * 3600),
      outcome.magnitude.toFixed(1),
    ]);
    this.figure.show(sentence, picture, ["event (UTC)", "time forecast: median (5–95 %)", "time observed", "magnitude"], rows);
  }
}

function mark(inside: boolean, x: number, y: number): SVGElement {
  if (inside) return svg("circle", { class: "came", cx: x, cy: y, r: 3 });
  return svg("path", { class: "missed", d: `M${x - 3},${y - 3}l6,6m0,-6l-6,6` });
}

// How good the forecasts are: their calibration, expected against observed numbers of events, and the gain over other models.
import { scaleLinear, scaleLog } from "d3-scale";
import { Figure, frame, INNER_HEIGHT, INNER_WIDTH, line, timeTicks } from "./chart";
import { html, svg } from "./element";
import type { Score } from "./records";
import { total } from "./scores";
import { count, moment, number, share, signed } from "./words";

const FEW = 20;

/** Numbers of outcomes by quantile bin of their forecast (probability integral transform). */
export interface PitCounts {
  /** The quantiles between the bins: 0.05, 0.25, …; a bin’s expected share is the difference of its edges. */
  edges: readonly number[];
  counts: readonly number[];
}

export class PitFigure {
  private readonly figure: Figure;
  readonly element: HTMLElement;

  constructor(
    private readonly what: string,
    private readonly caveat = "",
  ) {
    this.figure = new Figure(`${what}: calibration`);
    this.element = this.figure.element;
  }

  show(pit: PitCounts | null): void {
    const sum = pit?.counts.reduce((all, some) => all + some, 0) ?? 0;
    if (pit === null || sum === 0) {
      this.figure.show("There are no outcomes yet.", html("span"), [], []);
      return;
    }
    const bounds = [0, ...pit.edges, 1];
    const heights = pit.counts.map((some, index) => some / sum / ((bounds[index + 1] as number) - (bounds[index] as number)));
    const top = Math.max(2, ...heights);
    const x = scaleLinear([0, 1], [0, INNER_WIDTH]);
    const y = scaleLinear([0, top], [INNER_HEIGHT, 0]);
    const ticks = bounds.map((at) => ({ at, text: at === 0 || at === 1 ? String(at) : String(at).replace("0.", ".") }));
    const { picture, plot } = frame(
      `${this.what}: share of outcomes in each quantile bin of their forecast`,
      { scale: x, ticks, label: "quantile of the forecast" },
      { scale: y, ticks: y.ticks(4).map((at) => ({ at, text: `${at} ×` })), label: "of the expected share" },
    );
    for (const [index, height] of heights.entries()) {
      const [left, right] = [x(bounds[index] as number), x(bounds[index + 1] as number)];
      plot.append(
        svg("rect", { class: "bar", x: left + 0.5, y: y(height), width: Math.max(right - left - 1, 1), height: INNER_HEIGHT - y(height) }),
      );
    }
    plot.append(svg("line", { class: "due", x1: 0, x2: INNER_WIDTH, y1: y(1), y2: y(1) }));
    const words = `${count(sum, "outcome", "outcomes")}. If the forecasts are calibrated, every bar reaches the dashed line. ${sum < FEW ? "These are too few to judge." : this.caveat}`;
    const rows = pit.counts.map((some, index) => {
      const [low, high] = [bounds[index] as number, bounds[index + 1] as number];
      return [`${low} – ${high}`, String(some), share(some / sum), share(high - low)];
    });
    this.figure.show(words, picture, ["quantile", "outcomes", "share", "expected share"], rows);
  }
}

export class ExpectedFigure {
  private readonly figure = new Figure("Expected and observed");
  readonly element = this.figure.element;

  show(scores: ReadonlyMap<string, Score>, nameOf: (region: string) => string): void {
    const sum = total(scores.values());
    if (sum.events === 0) {
      this.figure.show("No forecast has been scored yet: a forecast is scored after a day.", html("span"), [], []);
      return;
    }
    const points = [...scores].map(([id, score]) => ({ id, expected: score.expected_events["model"] ?? 0, observed: score.events }));
    const most = Math.max(10, ...points.flatMap(({ expected, observed }) => [expected, observed])) * 1.3;
    const scale = scaleLog([0.5, most], [0, INNER_WIDTH]).clamp(true);
    const height = scaleLog([0.5, most], [INNER_HEIGHT, 0]).clamp(true);
    const ticks = [1, 10, 100, 1000, 10_000].filter((at) => at < most).map((at) => ({ at, text: String(at) }));
    const { picture, plot } = frame(
      "Events expected and observed, by region",
      { scale, ticks, label: "expected" },
      { scale: height, ticks, label: "observed" },
    );
    plot.append(svg("line", { class: "due", x1: scale(0.5), y1: height(0.5), x2: scale(most), y2: height(most) }));
    for (const { id, expected, observed } of points) {
      const dot = svg("circle", { class: "point", cx: scale(Math.max(expected, 0.5)), cy: height(Math.max(observed, 0.5)), r: 4 });
      dot.append(svg("title", {}, `${nameOf(id)}: ${number(expected)} expected, ${observed} observed`));
      plot.append(dot);
    }
    const words = `${number(sum.expected)} events were expected, ${sum.events} were observed. Each dot is a region; on the line, both numbers are equal.`;
    const rows = points
      .sort((one, other) => other.observed - one.observed)
      .map(({ id, expected, observed }) => [
        nameOf(id),
        number(expected),
        String(observed),
        gainOf(scores.get(id), "etas"),
        gainOf(scores.get(id), "poisson"),
      ]);
    this.figure.show(words, picture, ["region", "expected", "observed", "gain over ETAS", "gain over Poisson"], rows);
  }
}

function gainOf(score: Score | undefined, rival: string): string {
  const gain = score?.gain_per_event[rival];
  return gain === undefined ? "–" : signed(gain, 2);
}

export interface RunningGain {
  at: number;
  gain: number;
  events: number;
}

export class GainFigure {
  private readonly figure = new Figure("Running gain over ETAS");
  readonly element = this.figure.element;

  show(run: readonly RunningGain[], now: { gain: Record<string, number | null>; events: number }): void {
    const etas = now.gain["etas"] ?? null;
    const first = run[0];
    const last = run.at(-1);
    if (etas === null || first === undefined || last === undefined) {
      this.figure.show("No forecast has been scored yet: a forecast is scored after a day.", html("span"), [], []);
      return;
    }
    const x = scaleLinear([first.at, Math.max(last.at, first.at + 1)], [0, INNER_WIDTH]);
    const reach = Math.max(0.1, ...run.map(({ gain }) => Math.abs(gain))) * 1.15;
    const y = scaleLinear([-reach, reach], [INNER_HEIGHT, 0]);
    const { picture, plot } = frame(
      "Gain over ETAS, over time",
      { scale: x, ticks: timeTicks(first.at, last.at), label: "UTC" },
      { scale: y, ticks: y.ticks(5).map((at) => ({ at, text: signed(at, reach < 0.3 ? 2 : 1) })), label: "nats per event" },
    );
    plot.append(svg("line", { class: "due", x1: 0, x2: INNER_WIDTH, y1: y(0), y2: y(0) }));
    plot.append(svg("path", { class: "curve now", d: line(run.map(({ at, gain }) => [x(at), y(gain)])) }));
    const poisson = now.gain["poisson"];
    const beside = poisson === null || poisson === undefined ? "" : `, ${signed(poisson)} over a constant rate`;
    const words = `Gain: ${signed(etas)} nats per event over ETAS, the standard model of the field${beside}; from ${count(now.events, "event", "events")}. Above zero is better.${now.events < FEW ? " These are too few to judge." : ""}`;
    const rows = run
      .filter((_, index) => index % Math.ceil(run.length / 12) === 0)
      .map(({ at, gain, events }) => [moment(at), signed(gain), String(events)]);
    this.figure.show(words, picture, ["time", "gain over ETAS", "events"], rows);
  }
}

// The frame of every chart: axes with labels, and a plot to draw in. Each chart has its numbers as a table, too.
import { html, replace, svg, type Child } from "./element";
import { DAY, HOUR, shortMoment } from "./words";

export interface Axis {
  scale: (value: number) => number;
  ticks: readonly { at: number; text: string }[];
  label: string;
}

export interface Frame {
  picture: SVGSVGElement;
  /** The group to draw in; its origin is the upper left corner of the plot. */
  plot: SVGGElement;
}

/** Of a whole chart, in its own units. */
export interface Size {
  width: number;
  height: number;
}

export const WIDTH = 400;
export const HEIGHT = 220;
const STEPS_HOURS = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 168];
const MARGIN = { top: 24, right: 14, bottom: 36, left: 50 };
export const { width: INNER_WIDTH, height: INNER_HEIGHT } = innerSize({ width: WIDTH, height: HEIGHT });

/** Returns the size of the plot in a chart. */
export function innerSize({ width, height }: Size): Size {
  return { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
}

/** Creates the axes of a plot of `innerSize(size)`. */
export function frame(title: string, x: Axis, y: Axis, size: Size = { width: WIDTH, height: HEIGHT }): Frame {
  const { width, height } = innerSize(size);
  const plot = svg("g", { transform: `translate(${MARGIN.left},${MARGIN.top})` });
  for (const { at, text } of y.ticks) {
    const level = y.scale(at);
    plot.append(svg("line", { class: "grid", x1: 0, x2: width, y1: level, y2: level }));
    plot.append(svg("text", { class: "tick", x: -6, y: level, dy: "0.32em", "text-anchor": "end" }, text));
  }
  for (const { at, text } of x.ticks) {
    const left = x.scale(at);
    plot.append(svg("line", { class: "tick-mark", x1: left, x2: left, y1: height, y2: height + 4 }));
    plot.append(svg("text", { class: "tick", x: left, y: height + 15, "text-anchor": "middle" }, text));
  }
  plot.append(svg("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  plot.append(svg("text", { class: "label", x: width / 2, y: height + 31, "text-anchor": "middle" }, x.label));
  plot.append(svg("text", { class: "label", x: -MARGIN.left + 4, y: -11 }, y.label));
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": title }, plot);
  return { picture, plot };
}

/** Returns some ticks of a time span, at full hours or days; a tick at midnight is labelled with its day. */
export function timeTicks(since: number, until: number): { at: number; text: string }[] {
  const step = STEPS_HOURS.map((hours) => hours * HOUR).find((each) => (until - since) / each <= 6) ?? 30 * DAY;
  const ticks: { at: number; text: string }[] = [];
  for (let at = Math.ceil(since / step) * step; at <= until; at += step) {
    const [day, month, time] = shortMoment(at).split(" ");
    ticks.push({ at, text: time === "00:00" ? `${day} ${month}` : (time as string) });
  }
  return ticks;
}

export function line(points: readonly (readonly [number, number])[]): string {
  return points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
}

/** A heading, a sentence, a picture, and the numbers as a table; an open table stays open when it is renewed. */
export class Figure {
  readonly element: HTMLElement;
  private readonly picture = html("div", { class: "picture" });
  private readonly sentence = html("p", { class: "sentence" });
  private readonly table = html("table");
  private readonly numbers: HTMLDetailsElement;

  constructor(title: string, summary = "Table of the numbers") {
    this.numbers = html("details", { class: "numbers" }, html("summary", {}, summary), html("div", { class: "scroll" }, this.table));
    const heading = html("h3", {}, title);
    this.element = html("section", { class: "figure" }, heading, this.sentence, this.picture, this.numbers);
  }

  show(sentence: string, picture: Child, heading: readonly string[], rows: readonly (readonly Child[])[]): void {
    if (this.sentence.textContent !== sentence) this.sentence.textContent = sentence;
    replace(this.picture, picture);
    fillTable(this.table, heading, rows);
    this.numbers.hidden = rows.length === 0;
  }
}

/** Fills a table: a heading row, then rows whose first cell is their heading. */
export function fillTable(table: HTMLTableElement, heading: readonly string[], rows: readonly (readonly Child[])[]): void {
  const head = html("thead", {}, html("tr", {}, ...heading.map((text) => html("th", { scope: "col" }, text))));
  const body = rows.map((row) =>
    html("tr", {}, ...row.map((cell, index) => (index === 0 ? html("th", { scope: "row" }, cell) : html("td", {}, cell)))),
  );
  replace(table, head, html("tbody", {}, ...body));
}

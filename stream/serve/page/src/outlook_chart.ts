// An outlook as charts, one for each of its first spans: the probability of each magnitude, the range of the numbers, and what was observed.
import { scaleLinear, scaleSymlog } from "d3-scale";
import { frame, innerSize, type Size } from "./chart";
import { html, replace, svg } from "./element";
import type { ComparedBin, Span } from "./outlook";
import { percent } from "./words";

const SPANS = new Map([
  ["1 Day", "Within a day"],
  ["1 Week", "Within a week"],
  ["1 Month", "Within a month"],
]);
const SIZE: Size = { width: 260, height: 210 };
const NUMBERS = [0, 1, 3, 10, 30, 100, 300, 1000, 3000];
const BAR_WIDTH = 14;
const ROOM_FOR_PERCENT = 1.9;

export class OutlookChart {
  readonly element = html("div", { class: "spans" });

  show(spans: readonly { span: Span; bins: readonly ComparedBin[] }[]): void {
    const drawn = spans.filter(({ span }) => SPANS.has(span.label));
    const most = Math.max(1, ...drawn.flatMap(({ bins }) => bins.flatMap((bin) => [bin.p95maximum, bin.observed])));
    replace(this.element, ...drawn.map(({ span, bins }) => chart(SPANS.get(span.label) as string, bins, most)));
  }
}

/** Draws one span; `most` is the largest number in any, so that the spans can be compared. */
function chart(title: string, bins: readonly ComparedBin[], most: number): SVGSVGElement {
  const { width, height } = innerSize(SIZE);
  const x = scaleLinear([-0.6, bins.length - 0.4], [0, width]);
  const y = scaleSymlog([0, (most + 1) * ROOM_FOR_PERCENT], [height, 0]);
  const { picture, plot } = frame(
    `${title}: probability and number of events, by magnitude`,
    { scale: x, ticks: bins.map((bin, index) => ({ at: index, text: `≥ ${bin.magnitude}` })), label: "magnitude" },
    { scale: y, ticks: NUMBERS.filter((at) => at <= most).map((at) => ({ at, text: String(at) })), label: `${title}: number of events` },
    SIZE,
  );
  for (const [index, bin] of bins.entries()) {
    const middle = x(index);
    const top = y(Math.max(bin.p95maximum, bin.observed));
    plot.append(
      svg("rect", {
        class: "range",
        x: middle - BAR_WIDTH / 2,
        width: BAR_WIDTH,
        y: y(bin.p95maximum) - 1,
        height: y(bin.p95minimum) - y(bin.p95maximum) + 2,
      }),
      svg("line", { class: "middle", x1: middle - BAR_WIDTH / 2, x2: middle + BAR_WIDTH / 2, y1: y(bin.median), y2: y(bin.median) }),
      svg("circle", { class: `observed ${bin.standing.replaceAll(" ", "-")}`, cx: middle, cy: y(bin.observed), r: 3.5 }),
      svg(
        "text",
        { class: "percent", x: middle, y: top - 8, "text-anchor": "middle" },
        percent(bin.probability).replace("over", ">").replace("under", "<"),
      ),
    );
  }
  return picture;
}

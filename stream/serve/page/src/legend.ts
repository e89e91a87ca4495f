// The legend of the map: colours of regions, colours and sizes of events.
import { html, replace, svg } from "./element";
import { DEPTH_CLASSES, fillOf, radiusOf } from "./event_marks";
import type { Measure } from "./measure";

const MAGNITUDES = [3, 5, 7];

export class Legend {
  private readonly classes = html("ul", { class: "classes" });
  readonly element = html(
    "details",
    { class: "legend", open: !matchMedia("(max-width: 720px)").matches },
    html("summary", {}, "Legend"),
    this.classes,
    depths(),
    sizes(),
    html("p", {}, "Drag to move the map. Zoom with Ctrl and the wheel, with two fingers, or with + and −. Click to select a region."),
  );

  show(measure: Measure): void {
    const edges = measure.thresholds.map((value) => measure.formatThreshold(value));
    const between = edges.slice(1).map((edge, index) => `${edges[index]}–${edge} ${measure.unit}`);
    const words = [`under ${edges[0]} ${measure.unit}`, ...between, `over ${edges.at(-1)} ${measure.unit}`];
    const items = words.map((text, index) => html("li", {}, html("span", { class: `swatch class-${index}`, "aria-hidden": "true" }), text));
    replace(
      this.classes,
      html("li", { class: "title" }, "Regions:"),
      ...items,
      html("li", {}, html("span", { class: "swatch unsaid", "aria-hidden": "true" }), "no forecast"),
    );
  }
}

function depths(): HTMLElement {
  const items = DEPTH_CLASSES.map(({ words }, index) =>
    html("li", {}, html("span", { class: `dot depth-${index}`, "aria-hidden": "true" }), words),
  );
  return html(
    "ul",
    {},
    html("li", { class: "title" }, "Events by depth:"),
    ...items,
    html("li", {}, "paler: older; with a second ring: in the last hour"),
  );
}

function sizes(): HTMLElement {
  const items = MAGNITUDES.map((magnitude) => {
    const radius = radiusOf(magnitude, 1);
    const side = Math.ceil(2 * radius + 2);
    const circle = svg("circle", { cx: side / 2, cy: side / 2, r: radius, "fill-opacity": fillOf(radius).toFixed(2) });
    return html(
      "li",
      {},
      svg("svg", { class: "size", width: side, height: side, viewBox: `0 0 ${side} ${side}`, "aria-hidden": "true" }, circle),
      `M ${magnitude}`,
    );
  });
  return html("ul", {}, html("li", { class: "title" }, "Events by magnitude:"), ...items);
}

// The choices for the map: which probability colours the regions, and which events are drawn.
import { html } from "./element";
import { MEASURES, type Measure } from "./measure";

const SMALLEST = [
  { value: -10, text: "all" },
  { value: 2.5, text: "M ≥ 2.5" },
  { value: 4.5, text: "M ≥ 4.5" },
  { value: 6, text: "M ≥ 6" },
];
const DEFAULT = 2.5;

export class Choices {
  private readonly measures = html("select", { id: "measure" }, ...MEASURES.map(({ id, label }) => html("option", { value: id }, label)));
  private readonly smallest = html(
    "select",
    { id: "smallest" },
    ...SMALLEST.map(({ value, text }) => html("option", { value, selected: value === DEFAULT }, text)),
  );
  readonly element = html(
    "div",
    { class: "choices" },
    html("span", { class: "choice" }, html("label", { for: "measure" }, "Colours: probability of "), this.measures),
    html("span", { class: "choice" }, html("label", { for: "smallest" }, "Events "), this.smallest),
  );

  constructor(onChange: () => void) {
    this.element.addEventListener("change", onChange);
  }

  get measure(): Measure {
    return MEASURES.find(({ id }) => id === this.measures.value) ?? (MEASURES[0] as Measure);
  }

  get smallestMagnitude(): number {
    return Number(this.smallest.value);
  }
}

/** Creates the zoom buttons of the map. */
export function zoomButtons(zoomBy: (factor: number) => void, world: () => void, region: () => void): HTMLElement {
  const button = (text: string, label: string, press: () => void): HTMLElement => {
    const element = html("button", { type: "button", "aria-label": label, title: label }, text);
    element.addEventListener("click", press);
    return element;
  };
  return html(
    "div",
    { class: "zoom", role: "group", "aria-label": "Zoom" },
    button("+", "Zoom in", () => zoomBy(2)),
    button("−", "Zoom out", () => zoomBy(0.5)),
    button("World", "Whole world", world),
    button("Region", "Zoom to the selected region", region),
  );
}

// The layer of cells on the map: its choices, its legend, its largest cells as a table. It is loaded when a horizon is chosen, not before.
import { fillTable } from "./chart";
import { html, replace } from "./element";
import { horizonWords, probabilityOfAny, squares, type Choice, type GriddedForecast, type Quantity, type Square } from "./gridded";
import { ago, number, percent, place } from "./words";

const NONE = "none";
const HORIZONS_DAYS = [1, 7, 30, 365];
const QUANTITIES: readonly { value: Quantity; text: string }[] = [
  { value: "expected", text: "expected number" },
  { value: "probability", text: "probability of one or more" },
];
const TABLE_ROWS = 15;

export class CellLayer {
  private readonly horizon = html(
    "select",
    { id: "cells" },
    html("option", { value: NONE }, "none"),
    ...HORIZONS_DAYS.map((days) => html("option", { value: days }, horizonWords(days))),
  );
  private readonly magnitude = html("select", { id: "cells-magnitude" });
  private readonly quantity = html(
    "select",
    { id: "cells-quantity" },
    ...QUANTITIES.map(({ value, text }) => html("option", { value }, text)),
  );
  private readonly more = html(
    "span",
    { class: "choice", hidden: true },
    html("label", { for: "cells-magnitude" }, "of "),
    this.magnitude,
    html("label", { for: "cells-quantity" }, "as "),
    this.quantity,
  );
  private readonly sentence = html("p", { class: "sentence", role: "status" });
  private readonly classes = html("ul", { class: "classes" });
  private readonly table = html("table");
  private readonly numbers = html(
    "details",
    { class: "numbers" },
    html("summary", {}, "Table of the cells with the largest numbers"),
    html("div", { class: "scroll" }, this.table),
  );
  private readonly shownPart = html("div", { class: "cells-shown", hidden: true }, this.sentence, this.classes, this.numbers);
  readonly choices = html(
    "div",
    { class: "choices" },
    html("span", { class: "choice" }, html("label", { for: "cells" }, "Map of the region: "), this.horizon),
    this.more,
  );
  readonly element = html("div", { class: "legend" }, this.shownPart);
  private map: GriddedForecast | null = null;
  private trouble = "";
  private wanted = "";
  private cells: Square[] = [];

  constructor(
    /** Loads the latest map of a region, null before its first; rejects with an error for people. */
    private readonly load: (region: string) => Promise<GriddedForecast | null>,
    private readonly nameOf: (region: string) => string,
    private readonly now: () => number,
    /** Called when other cells are to be drawn. */
    private readonly onChange: () => void,
  ) {
    this.choices.addEventListener("change", () => this.change());
  }

  /** Whether a map is asked for. */
  get isOn(): boolean {
    return this.horizon.value !== NONE;
  }

  /** Returns the cells to draw over a region; empty if none are shown. */
  cellsOf(region: string | null): readonly Square[] {
    return this.isOn && this.map?.region === region ? this.cells : [];
  }

  /** Returns what a cell says, for people. */
  words(cell: Square): string {
    return `expected here, ${this.choiceWords()}: ${number(cell.expected)}; one or more: ${percent(probabilityOfAny(cell.expected))}`;
  }

  /** Shows another region, or the newest map of the same one. Loads nothing while no map is asked for. */
  async select(region: string | null): Promise<void> {
    this.wanted = region ?? "";
    if (region === null || !this.isOn) return;
    if (this.map?.region !== region) this.forget("Loading …");
    try {
      const map = await this.load(region);
      if (this.wanted !== region) return;
      this.map = map;
      this.trouble = map === null ? `There is no map of ${this.nameOf(region)} yet. Maps are issued with the outlooks.` : "";
    } catch (error) {
      if (this.wanted !== region) return;
      this.forget(`The map is not available now: ${error instanceof Error ? error.message : String(error)}.`);
    }
    this.show();
  }

  private change(): void {
    this.more.hidden = this.shownPart.hidden = !this.isOn;
    if (this.isOn && this.map?.region !== this.wanted) void this.select(this.wanted);
    else this.show();
  }

  private forget(why: string): void {
    this.map = null;
    this.trouble = why;
    this.show();
  }

  private show(): void {
    const horizon = this.map?.horizons_days.indexOf(Number(this.horizon.value)) ?? -1;
    this.classes.hidden = this.numbers.hidden = horizon < 0;
    if (this.map === null || horizon < 0) {
      this.cells = [];
      this.sentence.textContent = this.map === null ? this.trouble : "This map does not reach so far.";
    } else this.showMap(this.map, horizon);
    this.onChange();
  }

  private showMap(map: GriddedForecast, horizon: number): void {
    this.offerMagnitudes(map);
    const choice: Choice = { horizon, bin: Number(this.magnitude.value), quantity: this.quantity.value as Quantity };
    const { cells, edges } = squares(map, choice);
    this.cells = cells;
    const total = cells.reduce((sum, cell) => sum + cell.expected, 0);
    const expected = `${number(total)} expected in the whole region`;
    this.sentence.textContent = `${this.nameOf(map.region)}, ${this.choiceWords()}: ${expected}. Issued ${ago(this.now() - Date.parse(map.issued_at))}.`;
    this.showClasses(edges, choice.quantity, map.step_degrees);
    const largest = [...cells].sort((one, other) => other.expected - one.expected).slice(0, TABLE_ROWS);
    fillTable(
      this.table,
      ["centre", "width", "expected", "one or more"],
      largest.map(({ south, west, size, expected: inCell }) => [
        place(south + size / 2, west + size / 2),
        `${number(size)}°`,
        number(inCell),
        percent(probabilityOfAny(inCell)),
      ]),
    );
  }

  private showClasses(edges: readonly number[], quantity: Quantity, step: number): void {
    const texts = edges.map((edge) => (quantity === "expected" ? number(edge) : percent(edge)));
    const words = [`under ${texts[0]}`, ...texts.slice(1).map((text, index) => `${texts[index]}–${text}`), `over ${texts.at(-1)}`];
    const items = words.map((text, index) => html("li", {}, html("span", { class: `swatch class-${index}`, "aria-hidden": "true" }), text));
    const heading = quantity === "expected" ? "Expected number" : "Probability of one or more";
    replace(this.classes, html("li", { class: "title" }, `${heading} in ${number(step)}° × ${number(step)}°:`), ...items);
  }

  private offerMagnitudes(map: GriddedForecast): void {
    const texts = map.magnitudes.map((magnitude) => `M ≥ ${number(magnitude)}`);
    const offered = [...this.magnitude.options].map((option) => option.textContent);
    if (offered.join() === texts.join()) return;
    const chosen = Math.max(0, texts.indexOf(this.magnitude.selectedOptions[0]?.textContent ?? ""));
    replace(this.magnitude, ...texts.map((text, index) => html("option", { value: index, selected: index === chosen }, text)));
  }

  private choiceWords(): string {
    return `${this.magnitude.selectedOptions[0]?.textContent ?? ""}, ${horizonWords(Number(this.horizon.value))}`;
  }
}

// The list of all regions with their probabilities: one Tab stop, arrow keys within. The keyboard and screen-reader equivalent of the map.
import { html, replace, setText } from "./element";
import { classOf, type Measure } from "./measure";
import type { Forecast, Region } from "./records";

interface Row {
  region: Region;
  element: HTMLLIElement;
  value: HTMLElement;
  swatch: HTMLElement;
  sortKey: number;
}

export class RegionList {
  private readonly list = html("ul", { role: "listbox", "aria-label": "Regions" });
  private readonly search = html("input", { type: "search", placeholder: "Find a region", "aria-label": "Find a region" });
  private readonly noMatch = html("p", { class: "none", role: "status" });
  readonly element = html("div", { class: "region-list" }, this.search, this.noMatch, this.list);
  private readonly rows = new Map<string, Row>();
  private selected: string | null = null;

  constructor(private readonly onSelect: (region: string) => void) {
    this.list.addEventListener("keydown", (event) => this.move(event));
    this.list.addEventListener("click", (event) => {
      const id = event.target instanceof Element ? event.target.closest("li")?.dataset.region : undefined;
      if (id !== undefined) this.onSelect(id);
    });
    this.search.addEventListener("input", () => this.filter());
    this.list.addEventListener("focusout", () => this.order());
  }

  setRegions(regions: readonly Region[]): void {
    for (const region of regions) {
      if (this.rows.has(region.id)) continue;
      const value = html("span", { class: "value" });
      const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
      const name = html("span", { class: "name" }, region.name);
      const element = html("li", { role: "option", "data-region": region.id, tabindex: -1, "aria-selected": "false" }, swatch, name, value);
      this.rows.set(region.id, { region, element, value, swatch, sortKey: -1 });
    }
    this.order();
  }

  show(measure: Measure, forecastOf: (region: string) => Forecast | null, selected: string | null): void {
    for (const row of this.rows.values()) {
      const forecast = forecastOf(row.region.id);
      const value = forecast === null ? null : measure.of(forecast);
      row.sortKey = value ?? (forecast === null ? -2 : -1);
      setText(row.value, forecast === null ? "no forecast yet" : value === null ? "–" : measure.format(value));
      row.element.classList.toggle("unsaid", value === null);
      row.swatch.className = value === null ? "swatch unsaid" : `swatch class-${classOf(measure, value)}`;
      row.element.setAttribute("aria-selected", String(row.region.id === selected));
    }
    this.selected = selected;
    this.order();
  }

  /** Sorts by value, the largest first; not while the list has the focus. */
  private order(): void {
    if (this.list.contains(document.activeElement)) return;
    const rows = [...this.rows.values()].sort(
      (one, other) => other.sortKey - one.sortKey || one.region.name.localeCompare(other.region.name),
    );
    const wanted = rows.map(({ element }) => element);
    if (wanted.some((element, index) => this.list.children[index] !== element)) replace(this.list, ...wanted);
    this.setTabStop();
  }

  /** Makes one row reachable by Tab: the selected one, else the first. */
  private setTabStop(): void {
    const shown = this.shown();
    const stop = shown.find((element) => element.dataset.region === this.selected) ?? shown[0];
    for (const { element } of this.rows.values()) element.tabIndex = element === stop ? 0 : -1;
  }

  private shown(): HTMLLIElement[] {
    return [...this.list.querySelectorAll<HTMLLIElement>("li")].filter((element) => !element.hidden);
  }

  private filter(): void {
    const wanted = this.search.value.trim().toLowerCase();
    for (const { element, region } of this.rows.values()) {
      element.hidden = !`${region.name} ${region.id}`.toLowerCase().includes(wanted);
    }
    setText(this.noMatch, this.shown().length > 0 || wanted === "" ? "" : `No match: no region is called “${this.search.value.trim()}”.`);
    this.setTabStop();
  }

  private move(event: KeyboardEvent): void {
    const shown = this.shown();
    const here = shown.indexOf(document.activeElement as HTMLLIElement);
    const to: Record<string, number> = {
      ArrowDown: here + 1,
      ArrowUp: here - 1,
      Home: 0,
      End: shown.length - 1,
      PageDown: here + 8,
      PageUp: here - 8,
    };
    const target = to[event.key];
    if (target !== undefined) {
      const next = shown[Math.min(Math.max(target, 0), shown.length - 1)];
      for (const element of shown) element.tabIndex = element === next ? 0 : -1;
      next?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      const id = shown[here]?.dataset.region;
      if (id !== undefined) this.onSelect(id);
    } else return;
    event.preventDefault();
  }
}

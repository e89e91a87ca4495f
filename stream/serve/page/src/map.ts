// The world map: coloured regions, coastlines, and events on top. It can be zoomed, dragged and clicked; the list of regions is its
// keyboard equivalent.
import { geoGraticule10, geoPath, type GeoProjection } from "d3-geo";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomBehavior } from "d3-zoom";
import type { MultiLineString, MultiPolygon } from "geojson";
import type { Quake } from "./catalogue";
import { drawCells } from "./cell_marks";
import type { Coast } from "./coast";
import { html, svg } from "./element";
import { DEPTH_CLASSES, draw, nearest, place, type Mark } from "./event_marks";
import { outline, sphericalPolygon } from "./geometry";
import type { Square } from "./gridded";
import { heightFor, projection, type View } from "./projection";
import type { Region } from "./records";

const LARGEST_ZOOM = 40;
const FILLED_SHARE = 0.7;
const COLOURS = [0, 1, 2, 3, 4, 5, 6];

interface Shape {
  filled: SVGPathElement;
  border: SVGPathElement;
  polygon: MultiPolygon;
  lines: MultiLineString;
}

export class WorldMap {
  private readonly picture = svg("svg", { class: "regions", "aria-hidden": "true" });
  private readonly canvas = html("canvas", { class: "events", "aria-hidden": "true" });
  private readonly tip = html("div", { class: "tip", hidden: true });
  readonly element = html("div", { class: "map" }, this.picture, this.canvas, this.tip);
  private readonly sphere = svg("path", { class: "sphere" });
  private readonly land = svg("path", { class: "land" });
  private readonly graticule = svg("path", { class: "graticule" });
  private readonly fills = svg("g");
  private readonly borders = svg("g", { class: "borders" });
  private readonly shapes = new Map<string, Shape>();
  private readonly behaviour: ZoomBehavior<HTMLDivElement, unknown>;
  private view: View = { k: 1, x: 0, y: 0 };
  private width = 0;
  private quakes: readonly Quake[] = [];
  private cells: readonly Square[] = [];
  private marks: Mark[] = [];
  private now = 0;
  private projected: GeoProjection | null = null;
  private coastline = new Path2D();
  private viewChanged = true;
  private waiting = false;

  constructor(
    private readonly coast: Coast,
    private readonly onSelect: (region: string) => void,
    private readonly describe: (quake: Quake | null, region: string | null, place: [number, number] | null) => string,
  ) {
    coast.onLoaded = () => this.redraw();
    this.picture.append(this.sphere, this.land, this.graticule, this.fills, this.borders);
    this.behaviour = zoom<HTMLDivElement, unknown>()
      .scaleExtent([1, LARGEST_ZOOM])
      .filter((event: Event) => controlsMap(event))
      .on("zoom", (event: { transform: View }) => {
        this.view = event.transform;
        this.redraw();
      });
    select(this.element).call(this.behaviour);
    this.element.addEventListener("pointermove", (event) => this.point(event));
    this.element.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.element.addEventListener("click", (event) => this.choose(event));
    new ResizeObserver(() => this.resize()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** Creates the shapes of the regions, once: they do not change. */
  setRegions(regions: readonly Region[]): void {
    for (const region of regions) {
      if (region.geometry === null || this.shapes.has(region.id)) continue;
      const polygon = sphericalPolygon(region.geometry);
      const filled = svg("path", { class: "region", "data-region": region.id });
      const border = svg("path", { class: "border" });
      this.fills.append(filled);
      this.borders.append(border);
      this.shapes.set(region.id, { filled, border, polygon, lines: outline(polygon) });
    }
    this.redraw();
  }

  /** Colours the regions: by region the class of its value, null without a value. */
  colour(classes: ReadonlyMap<string, number | null>, selected: string | null): void {
    for (const [id, shape] of this.shapes) {
      const value = classes.get(id) ?? null;
      shape.filled.setAttribute("class", value === null ? "region unsaid" : `region class-${value}`);
      shape.border.setAttribute("class", id === selected ? "border selected" : "border");
      if (id === selected) this.borders.append(shape.border);
    }
  }

  showEvents(quakes: readonly Quake[], now: number): void {
    this.quakes = quakes;
    this.now = now;
    this.schedule();
  }

  /** Draws the cells of a region’s map over it; none without any. */
  showCells(cells: readonly Square[]): void {
    this.cells = cells;
    this.schedule();
  }

  zoomBy(factor: number): void {
    select(this.element).call(this.behaviour.scaleBy, factor);
  }

  /** Zooms to a region, with some margin around it. */
  zoomTo(region: string): void {
    const shape = this.shapes.get(region);
    if (shape === undefined) return;
    const [[left, top], [right, bottom]] = geoPath(projection(this.width, zoomIdentity)).bounds(shape.polygon);
    const height = heightFor(this.width);
    const scale = Math.min(LARGEST_ZOOM, FILLED_SHARE / Math.max((right - left) / this.width, (bottom - top) / height));
    const view = zoomIdentity
      .translate(this.width / 2 - (scale * (left + right)) / 2, height / 2 - (scale * (top + bottom)) / 2)
      .scale(scale);
    select(this.element).call(this.behaviour.transform, view);
  }

  reset(): void {
    select(this.element).call(this.behaviour.transform, zoomIdentity);
  }

  private resize(): void {
    const width = Math.round(this.element.clientWidth);
    if (width === this.width || width === 0) return;
    const factor = this.width === 0 ? 1 : width / this.width;
    this.width = width;
    const height = heightFor(width);
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.behaviour
      .translateExtent([
        [0, 0],
        [width, height],
      ])
      .extent([
        [0, 0],
        [width, height],
      ]);
    const { k, x, y } = this.view;
    select(this.element).call(this.behaviour.transform, zoomIdentity.translate(x * factor, y * factor).scale(k));
    this.redraw();
  }

  /** Draws everything again, because the view has changed. */
  private redraw(): void {
    this.viewChanged = true;
    this.schedule();
  }

  /** Draws in the next animation frame, at most once per frame. */
  private schedule(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.width === 0) return;
      if (this.viewChanged) this.drawShapes();
      this.viewChanged = false;
      this.drawMarks();
    });
  }

  private drawShapes(): void {
    this.projected = projection(this.width, this.view);
    const path = geoPath(this.projected).digits(1);
    const land = this.coast.at(this.view.k);
    const coast = land === null ? "" : (path(land) ?? "");
    this.coastline = new Path2D(coast);
    this.sphere.setAttribute("d", path({ type: "Sphere" }) ?? "");
    this.graticule.setAttribute("d", path(geoGraticule10()) ?? "");
    this.land.setAttribute("d", coast);
    for (const { filled, border, polygon, lines } of this.shapes.values()) {
      filled.setAttribute("d", path(polygon) ?? "");
      border.setAttribute("d", path(lines) ?? "");
    }
  }

  private drawMarks(): void {
    const height = heightFor(this.width);
    const density = Math.min(devicePixelRatio, 2);
    this.canvas.width = this.width * density;
    this.canvas.height = height * density;
    const pen = this.canvas.getContext("2d");
    if (pen === null || this.projected === null) return;
    pen.scale(density, density);
    const style = getComputedStyle(this.element);
    drawCells(
      pen,
      this.cells,
      this.projected,
      COLOURS.map((colour) => style.getPropertyValue(`--class-${colour}`)),
    );
    pen.strokeStyle = style.getPropertyValue("--coast");
    pen.lineWidth = 0.7;
    pen.stroke(this.coastline);
    this.marks = place(this.quakes, this.projected, this.view.k, this.width, height);
    draw(
      pen,
      this.marks,
      this.now,
      DEPTH_CLASSES.map(({ token }) => style.getPropertyValue(token)),
      style.getPropertyValue("--mark-ink"),
    );
  }

  private point(event: PointerEvent): void {
    const { mark, region, x, y } = this.under(event);
    const words = this.describe(mark?.quake ?? null, region, this.projected?.invert?.([x, y]) ?? null);
    this.tip.hidden = words === "";
    this.tip.textContent = words;
    this.tip.style.left = `${Math.min(x + 14, Math.max(0, this.width - 250))}px`;
    this.tip.style.top = `${y + 14}px`;
  }

  private choose(event: MouseEvent): void {
    const { mark, region } = this.under(event);
    const chosen = mark?.quake.region ?? region;
    if (chosen !== null) this.onSelect(chosen);
  }

  private under(event: MouseEvent): { mark: Mark | null; region: string | null; x: number; y: number } {
    const box = this.element.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const region = event.target instanceof Element ? event.target.getAttribute("data-region") : null;
    return { mark: nearest(this.marks, x, y), region, x, y };
  }
}

/** Whether an event controls the map. The wheel without Ctrl and a single finger scroll the page instead, so that users can get past the map. */
function controlsMap(event: Event): boolean {
  if (event instanceof WheelEvent) return event.ctrlKey || event.metaKey;
  if (typeof TouchEvent !== "undefined" && event instanceof TouchEvent) return event.touches.length > 1;
  return event instanceof MouseEvent ? event.button === 0 : true;
}

// Creates all views, and renews those whose data have changed.
import { Banners } from "./banners";
import { ExpectedFigure, GainFigure, PitFigure } from "./calibration";
import { CellLayer } from "./cell_layer";
import { Choices, zoomButtons } from "./choices";
import { Coast } from "./coast";
import type { Quake } from "./catalogue";
import { fillTable } from "./chart";
import { html } from "./element";
import { greatest, LONGEST_DAYS } from "./great_event";
import { HeadlineCard, type Headline } from "./headline_card";
import type { Connection } from "./event_stream";
import { cellAt, type GriddedForecast } from "./gridded";
import { Legend } from "./legend";
import { NOT_LIVE, whyNotLive } from "./liveness";
import { WorldMap } from "./map";
import { classOf } from "./measure";
import type { Status } from "./records";
import { RegionList } from "./region_list";
import { RegionPanel } from "./region_panel";
import { running, total } from "./scores";
import { Scrubber, type Mark } from "./scrubber";
import { Strip } from "./strip";
import { Tape } from "./tape";
import { throttled } from "./throttle";
import { ago, DAY, magnitude, percent, shortMoment } from "./words";
import type { Topic, World } from "./world";

const MAP_DAYS = 7;
const LARGE_MAGNITUDE = 5.5;
const TABLE_ROWS = 20;

export class Page {
  private readonly strip = new Strip();
  private readonly banners = new Banners();
  private readonly card = new HeadlineCard((region) => this.select(region, true));
  private readonly map: WorldMap;
  private readonly legend = new Legend();
  private readonly list: RegionList;
  private readonly coast = new Coast();
  readonly panel = new RegionPanel(this.coast);
  readonly tape: Tape;
  private readonly scrubber: Scrubber;
  private readonly pits = {
    wait: new PitFigure("Time to the next event", "Events that are reported late make these times look shorter than forecast."),
    magnitude: new PitFigure("Magnitude"),
  };
  private readonly expected = new ExpectedFigure();
  private readonly gain = new GainFigure();
  private readonly choices = new Choices(() => this.renewMap());
  private readonly largest = html("table");
  private readonly cells: CellLayer;
  private selected: string | null = null;
  private status: Status | null = null;
  private connection: Connection = "connecting";
  private cutOff = "";
  private readonly renewMap = throttled(() => this.showMap(), 200);
  private readonly renewPanel = throttled(() => this.showPanel(), 500);
  private readonly renewCard = throttled(() => this.card.show(this.headline()), 500);
  private readonly renewTape = throttled(() => this.tape.show(this.world.alerts(), this.world.now), 200);
  private readonly renewScrubber = throttled(() => this.showScrubber(), 500);
  private readonly renewScores = throttled(() => this.showScores(), 3000);
  private readonly renewStrip = throttled(() => this.showStrip(), 200);

  constructor(
    private readonly world: World,
    onEarlier: () => Promise<void>,
    /** Called when another region is selected. */
    private readonly onRegion: (region: string) => void,
    /** Called when an alert is opened some of whose revisions are missing. */
    onMissing: (alert: string) => void,
    loadMap: (region: string) => Promise<GriddedForecast | null>,
  ) {
    this.map = new WorldMap(
      this.coast,
      (region) => this.select(region),
      (quake, region, at) => this.describe(quake, region, at),
    );
    this.cells = new CellLayer(
      loadMap,
      (region) => world.nameOf(region),
      () => world.clock,
      () => this.renewMap(),
    );
    this.list = new RegionList((region) => this.select(region, true));
    this.tape = new Tape(
      (region) => world.nameOf(region),
      (region) => this.select(region, true),
      onMissing,
    );
    this.scrubber = new Scrubber((moment) => {
      world.lookAt(moment);
      world.publish();
    }, onEarlier);
    this.mount();
    world.onChange((changed) => this.renew(changed));
  }

  get region(): string | null {
    return this.selected;
  }

  select(region: string, focus = false): void {
    if (region !== this.selected) this.panel.clear();
    this.selected = region;
    history.replaceState(null, "", `#${encodeURIComponent(region)}`);
    this.onRegion(region);
    void this.cells.select(region);
    this.renewMap();
    this.renewPanel();
    if (focus) this.panel.focus();
  }

  /** Selects the region with the largest probability. */
  selectFirst(): void {
    const value = (id: string): number => {
      const forecast = this.world.forecast(id);
      return forecast === null ? -2 : (this.choices.measure.of(forecast) ?? -1);
    };
    const best = [...this.world.regions].sort((one, other) => value(other.id) - value(one.id))[0];
    if (best !== undefined && value(best.id) > -2) this.select(best.id);
  }

  setRegions(): void {
    this.map.setRegions(this.world.regions);
    this.list.setRegions(this.world.regions);
  }

  showStatus(status: Status): void {
    this.status = status;
    this.strip.showStatus(status);
    const disclaimer = document.getElementById("disclaimer");
    if (disclaimer !== null && status.disclaimer) disclaimer.textContent = status.disclaimer;
    this.renewStrip();
  }

  showConnection(state: Connection, trouble: string): void {
    this.connection = state;
    this.cutOff = state === "lost" ? trouble || "Reconnecting." : "";
    this.renewStrip();
  }

  showPits(wait: { edges: number[]; counts: number[] } | null, magnitudes: { edges: number[]; counts: number[] } | null): void {
    this.pits.wait.show(wait);
    this.pits.magnitude.show(magnitudes);
  }

  private mount(): void {
    const put = (id: string, ...parts: HTMLElement[]): void => document.getElementById(id)?.append(...parts);
    const zoomToRegion = (): void => {
      if (this.selected !== null) this.map.zoomTo(this.selected);
    };
    const zoom = zoomButtons(
      (factor) => this.map.zoomBy(factor),
      () => this.map.reset(),
      zoomToRegion,
    );
    const stage = html("div", { class: "stage" }, this.map.element, zoom);
    const table = html(
      "details",
      { class: "numbers" },
      html("summary", {}, "Table of the largest events on the map"),
      html("div", { class: "scroll" }, this.largest),
    );
    put("strip", this.strip.element);
    document.querySelector("main")?.prepend(this.card.element);
    put("banners", this.banners.element);
    put("map", this.choices.element, this.cells.choices, stage, this.cells.element, this.scrubber.element, this.legend.element, table);
    put("regions", this.list.element);
    put("panel", this.panel.element);
    put("alerts", this.tape.element);
    put("calibration", this.gain.element, this.expected.element, this.pits.wait.element, this.pits.magnitude.element);
  }

  private renew(changed: ReadonlySet<Topic>): void {
    const any = (...topics: Topic[]): boolean => topics.some((topic) => changed.has(topic));
    if (any("events", "forecasts", "clock")) this.renewMap();
    if (any("events", "forecasts", "outlooks", "clock")) {
      this.renewCard();
      this.renewPanel();
    }
    if (any("outlooks")) void this.cells.select(this.selected);
    if (any("alerts", "clock")) this.renewTape();
    if (any("forecasts", "clock")) this.renewScores();
    this.renewScrubber();
    this.renewStrip();
  }

  private showStrip(): void {
    this.strip.showClock(this.world.clock);
    const { status, cutOff, world } = this;
    const why = whyNotLive(status, world.whyNotLive, Date.now());
    this.strip.showConnection(this.connection, why, status?.feed.stale ?? true);
    const active = status?.counts.alerts_active ?? 0;
    const name = why === null ? "quakecast" : `quakecast, ${NOT_LIVE[why].word}`;
    document.title = active > 0 ? `(${active}) ${name}` : name;
    this.banners.show({ status, whyNotLive: why, past: world.isPast ? world.now : null, cutOff });
  }

  /** Returns what the card shows: the large recent earthquake, if there is one. */
  private headline(): Headline | null {
    const { world, status } = this;
    const quakes = world.catalogue.knownAt(world.now, world.now - LONGEST_DAYS * DAY);
    const quake = greatest(quakes, world.now);
    if (quake === null) return null;
    const completeness = world.region(quake.region)?.magnitude_of_completeness ?? 0;
    const later = quakes.filter((each) => each.region === quake.region && each.at > quake.at && (each.magnitude ?? -9) >= completeness);
    return {
      quake,
      reported: world.catalogue.magnitudes(quake.id, world.now),
      regionName: world.nameOf(quake.region),
      since: { events: later.length, completeness },
      outlook: world.outlook(quake.region),
      forecast: world.forecast(quake.region),
      whyNotLive: whyNotLive(status, world.whyNotLive, Date.now()),
      now: world.now,
    };
  }

  private showMap(): void {
    const { world } = this;
    const { measure, smallestMagnitude } = this.choices;
    const classes = new Map<string, number | null>();
    for (const { id } of world.regions) {
      const forecast = world.forecast(id);
      const value = forecast === null ? null : measure.of(forecast);
      classes.set(id, value === null ? null : classOf(measure, value));
    }
    const cells = this.cells.cellsOf(this.selected);
    if (this.selected !== null && cells.length > 0) classes.set(this.selected, null);
    this.map.showCells(cells);
    this.map.colour(classes, this.selected);
    const quakes = world.catalogue
      .knownAt(world.now, world.now - MAP_DAYS * DAY)
      .filter((quake) => (quake.magnitude ?? -1) >= smallestMagnitude);
    this.map.showEvents(quakes, world.now);
    this.list.show(measure, (id) => world.forecast(id), this.selected);
    this.legend.show(measure);
    const large = [...quakes].sort((one, other) => (other.magnitude ?? -1) - (one.magnitude ?? -1)).slice(0, TABLE_ROWS);
    document.documentElement.dataset.forecast = world.lastForecast; // the newest forecast that is drawn: measurements of the delay read it
    fillTable(
      this.largest,
      ["magnitude", "origin (UTC)", "place", "region"],
      large.map((quake) => [magnitude(quake.magnitude), shortMoment(quake.at), quake.place || "–", world.nameOf(quake.region)]),
    );
  }

  private showPanel(): void {
    const region = this.selected === null ? null : this.world.region(this.selected);
    if (region !== null) this.panel.show(region, this.world);
  }

  private showScrubber(): void {
    const { world } = this;
    if (world.clock === 0) return;
    const earliest = Math.min(world.earliest, world.clock);
    const marks: Mark[] = world.catalogue
      .knownAt(world.clock, earliest)
      .filter((quake) => (quake.magnitude ?? 0) >= LARGE_MAGNITUDE)
      .map((quake) => ({ at: quake.at, kind: "quake", title: `${magnitude(quake.magnitude)} ${quake.place}` }));
    this.scrubber.show(earliest, world.clock, world.isPast ? world.now : null, marks);
  }

  private showScores(): void {
    const { world } = this;
    const scores = world.scores();
    this.expected.show(scores, (region) => world.nameOf(region));
    const since = Math.min(world.earliest, world.now - 1);
    this.gain.show(
      running("etas", (moment) => world.scores(moment).values(), since, world.now),
      total(scores.values()),
    );
  }

  private describe(quake: Quake | null, region: string | null, at: [number, number] | null): string {
    if (quake !== null) {
      const depth = quake.depth_km === null ? "" : `, ${Math.round(quake.depth_km)} km deep`;
      return `${magnitude(quake.magnitude)} ${quake.place}, ${ago(this.world.now - quake.at)}${depth}`;
    }
    if (region === null) return "";
    const cell = at === null ? null : cellAt(this.cells.cellsOf(region), ...at);
    if (cell !== null) return `${this.world.nameOf(region)}: ${this.cells.words(cell)}`;
    const forecast = this.world.forecast(region);
    const value = forecast === null ? null : this.choices.measure.of(forecast);
    const text = value === null ? "no forecast" : this.choices.measure.format(value);
    const day = forecast === null ? "" : `; any event within a day ${percent(forecast.wait.probability_within["1d"] ?? 0)}`;
    return `${this.world.nameOf(region)}: ${this.choices.measure.label}: ${text}${day}`;
  }
}

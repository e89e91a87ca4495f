// All that the page knows, folded from what the stream says: in any order, any record twice, within bounds. It has no clock of its own.
import { Catalogue } from "./catalogue";
import type { Outlook } from "./outlook";
import type { Alert, Change, Forecast, KnownEvent, Region, Score, TopicRecord } from "./records";
import { Series, type Point } from "./series";

const MOST_FORECASTS_A_REGION = 240;
const MOST_OUTLOOKS_A_REGION = 40;
const MOST_ALERTS = 400;
const MOST_REVISIONS = 40;

export type Topic = "events" | "forecasts" | "outlooks" | "alerts" | "models" | "clock";

export class World {
  readonly catalogue = new Catalogue();
  private readonly regionsById = new Map<string, Region>();
  private readonly forecasts = new Map<string, Series<Forecast>>();
  private readonly outlooks = new Map<string, Series<Outlook>>();
  private readonly alertsById = new Map<string, Alert[]>();
  private readonly listeners: ((changed: ReadonlySet<Topic>) => void)[] = [];
  private changed = new Set<Topic>();
  /** The newest time that the stream has told, milliseconds since 1970. */
  clock = 0;
  /** The moment that is looked at; null is the newest. */
  private past: number | null = null;
  /** Where the history begins that the stream has told, milliseconds since 1970. */
  earliest = Infinity;
  /** Id of the forecast that came last. */
  lastForecast = "";
  /** Whether the newest records are marked as not live. */
  test = false;

  get now(): number {
    return this.past ?? this.clock;
  }

  get isPast(): boolean {
    return this.past !== null;
  }

  lookAt(moment: number | null): void {
    this.past = moment !== null && moment < this.clock ? moment : null;
    this.note("clock");
  }

  onChange(listener: (changed: ReadonlySet<Topic>) => void): void {
    this.listeners.push(listener);
  }

  /** Tells everybody what has changed since the last time. */
  publish(): void {
    if (this.changed.size === 0) return;
    const changed = this.changed;
    this.changed = new Set();
    for (const listener of this.listeners) listener(changed);
  }

  setRegions(regions: readonly Region[]): void {
    for (const region of regions) {
      this.regionsById.set(region.id, region);
      if (region.forecast !== null) this.takeForecast(region.forecast);
    }
    this.note("forecasts");
  }

  seedEvents(events: readonly KnownEvent[]): void {
    for (const event of events) {
      this.catalogue.seed(event);
      this.tell(event.observed_at);
    }
    this.note("events");
  }

  /** Takes a record as the topics have it; what is not known by its schema is left alone. */
  take(record: TopicRecord | Outlook): void {
    switch (record.$schema) {
      case "quakecast.change/1":
        return this.takeChange(record);
      case "quakecast.heartbeat/1":
        this.test = record.test ?? false;
        this.begin(this.tell(record.observed_at));
        return;
      case "quakecast.forecast/1":
        return this.takeForecast(record);
      case "quakecast.alert/1":
        return this.takeAlert(record);
      case "quakecast.outlook/1":
        return this.takeOutlook(record);
      case "quakecast.promotion/1":
      case "quakecast.activation/1":
        return this.note("models");
    }
  }

  get regions(): readonly Region[] {
    return [...this.regionsById.values()];
  }

  region(id: string): Region | null {
    return this.regionsById.get(id) ?? null;
  }

  nameOf(id: string | null): string {
    return id === null ? "All regions" : (this.regionsById.get(id)?.name ?? id);
  }

  forecast(region: string): Forecast | null {
    return this.forecasts.get(region)?.at(this.now) ?? null;
  }

  /** What was forecast in (since, now], oldest first. */
  forecastsSince(region: string, since: number): readonly Point<Forecast>[] {
    return this.forecasts.get(region)?.between(since, this.now) ?? [];
  }

  outlook(region: string): Outlook | null {
    return this.outlooks.get(region)?.at(this.now) ?? null;
  }

  /** Of each alert known by now its revisions so far, the alert with the newest revision first. */
  alerts(): Alert[][] {
    const known: Alert[][] = [];
    for (const revisions of this.alertsById.values()) {
      const sofar = this.isPast ? revisions.filter((alert) => Date.parse(alert.issued_at) <= this.now) : revisions;
      if (sofar.length > 0) known.push([...sofar]);
    }
    return known.sort((one, other) => newest(other) - newest(one));
  }

  /** By region, the score that its forecast of a moment carries. */
  scores(moment = this.now): Map<string, Score> {
    const found = new Map<string, Score>();
    for (const [id, forecasts] of this.forecasts) {
      const score = forecasts.at(moment)?.score;
      if (score) found.set(id, score);
    }
    return found;
  }

  private takeChange(change: Change): void {
    this.test = change.test ?? false;
    this.begin(this.tell(change.observed_at));
    if (this.catalogue.take(change)) this.note("events");
  }

  private takeForecast(forecast: Forecast): void {
    const at = this.tell(forecast.issued_at);
    if (series(this.forecasts, forecast.region, MOST_FORECASTS_A_REGION).add(at, forecast.input_sequence, forecast)) {
      this.lastForecast = forecast.id;
      this.note("forecasts");
    }
  }

  private takeOutlook(outlook: Outlook): void {
    const at = this.tell(outlook.issued_at);
    if (series(this.outlooks, outlook.region, MOST_OUTLOOKS_A_REGION).add(at, outlook.input_sequence, outlook)) this.note("outlooks");
  }

  private takeAlert(alert: Alert): void {
    const revisions = this.alertsById.get(alert.id) ?? [];
    if (revisions.some((known) => known.revision === alert.revision)) return;
    this.tell(alert.issued_at);
    revisions.push(alert);
    revisions.sort((one, other) => one.revision - other.revision);
    if (revisions.length > MOST_REVISIONS) revisions.splice(1, 1);
    this.alertsById.set(alert.id, revisions);
    this.forgetAlerts();
    this.note("alerts");
  }

  private forgetAlerts(): void {
    if (this.alertsById.size <= MOST_ALERTS) return;
    const oldest = [...this.alertsById].sort(([, one], [, other]) => newest(one) - newest(other)).slice(0, MOST_ALERTS / 10);
    for (const [id] of oldest) this.alertsById.delete(id);
  }

  /** Hears a time of the stream. */
  tell(time: string): number {
    const at = Date.parse(time);
    if (at > this.clock) {
      this.clock = at;
      this.note("clock");
    }
    return at;
  }

  private begin(at: number): void {
    this.earliest = Math.min(this.earliest, at);
  }

  note(topic: Topic): void {
    this.changed.add(topic);
  }
}

function series<Value>(all: Map<string, Series<Value>>, key: string, most: number): Series<Value> {
  const found = all.get(key) ?? new Series<Value>(most);
  all.set(key, found);
  return found;
}

function newest(revisions: readonly Alert[]): number {
  return Date.parse(revisions.at(-1)?.issued_at ?? "");
}

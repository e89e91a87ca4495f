// The state of the page, folded from the records of the stream: in any order, repeated records allowed, bounded. It reads no clock.
import { Catalogue } from "./catalogue";
import type { Outlook } from "./outlook";
import type { Alert, Change, Forecast, Heartbeat, KnownEvent, Region, Score, TopicRecord, WhyNotLive } from "./records";
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
  /** The newest time in the stream, milliseconds since 1970. */
  clock = 0;
  /** The moment that the page shows; null is the newest. */
  private past: number | null = null;
  /** The time of the earliest record of the stream, milliseconds since 1970. */
  earliest = Infinity;
  /** Id of the forecast that arrived last. */
  lastForecast = "";
  /** Why the newest change or heartbeat is not live; null when it is. */
  whyNotLive: WhyNotLive | null = null;

  get now(): number {
    return this.past ?? this.clock;
  }

  get isPast(): boolean {
    return this.past !== null;
  }

  lookAt(moment: number | null): void {
    this.past = moment !== null && moment < this.clock ? moment : null;
    this.markChanged("clock");
  }

  onChange(listener: (changed: ReadonlySet<Topic>) => void): void {
    this.listeners.push(listener);
  }

  /** Calls the listeners with the topics that have changed since the last call. */
  publish(): void {
    if (this.changed.size === 0) return;
    const changed = this.changed;
    this.changed = new Set();
    for (const listener of this.listeners) listener(changed);
  }

  setRegions(regions: readonly Region[]): void {
    for (const region of regions) {
      this.regionsById.set(region.id, region);
      if (region.forecast !== null) this.applyForecast(region.forecast);
    }
    this.markChanged("forecasts");
  }

  seedEvents(events: readonly KnownEvent[]): void {
    for (const event of events) {
      this.catalogue.seed(event);
      this.advanceClock(event.observed_at);
    }
    this.markChanged("events");
  }

  /** Takes a record as the topics have it; what is not known by its schema is left alone. */
  apply(record: TopicRecord | Outlook): void {
    switch (record.$schema) {
      case "quakecast.change/1":
        return this.applyChange(record);
      case "quakecast.heartbeat/1":
        this.noteLiveness(record);
        this.extendHistory(this.advanceClock(record.observed_at));
        return;
      case "quakecast.forecast/1":
        return this.applyForecast(record);
      case "quakecast.alert/1":
        return this.applyAlert(record);
      case "quakecast.outlook/1":
        return this.applyOutlook(record);
      case "quakecast.promotion/1":
      case "quakecast.activation/1":
        return this.markChanged("models");
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

  /** Returns the forecasts in (since, now], oldest first. */
  forecastsSince(region: string, since: number): readonly Point<Forecast>[] {
    return this.forecasts.get(region)?.between(since, this.now) ?? [];
  }

  outlook(region: string): Outlook | null {
    return this.outlooks.get(region)?.at(this.now) ?? null;
  }

  /** Returns the revisions of each alert so far; the alert with the newest revision comes first, at one moment the largest earthquake. */
  alerts(): Alert[][] {
    const known: Alert[][] = [];
    for (const revisions of this.alertsById.values()) {
      const soFar = this.isPast ? revisions.filter((alert) => Date.parse(alert.issued_at) <= this.now) : revisions;
      if (soFar.length > 0) known.push([...soFar]);
    }
    return known.sort((one, other) => newest(other) - newest(one) || size(other) - size(one));
  }

  /** Returns, by region, the score in its forecast at a moment. */
  scores(moment = this.now): Map<string, Score> {
    const scores = new Map<string, Score>();
    for (const [id, forecasts] of this.forecasts) {
      const score = forecasts.at(moment)?.score;
      if (score) scores.set(id, score);
    }
    return scores;
  }

  private applyChange(change: Change): void {
    this.noteLiveness(change);
    this.extendHistory(this.advanceClock(change.observed_at));
    if (this.catalogue.apply(change)) this.markChanged("events");
  }

  private noteLiveness(record: Change | Heartbeat): void {
    this.whyNotLive = record.why_not_live ?? (record.test ? "replay" : null);
  }

  private applyForecast(forecast: Forecast): void {
    const at = this.advanceClock(forecast.issued_at);
    if (series(this.forecasts, forecast.region, MOST_FORECASTS_A_REGION).add(at, forecast.input_sequence, forecast)) {
      this.lastForecast = forecast.id;
      this.markChanged("forecasts");
    }
  }

  private applyOutlook(outlook: Outlook): void {
    const at = this.advanceClock(outlook.issued_at);
    if (series(this.outlooks, outlook.region, MOST_OUTLOOKS_A_REGION).add(at, outlook.input_sequence, outlook))
      this.markChanged("outlooks");
  }

  private applyAlert(alert: Alert): void {
    const revisions = this.alertsById.get(alert.id) ?? [];
    if (revisions.some((known) => known.revision === alert.revision)) return;
    this.advanceClock(alert.issued_at);
    revisions.push(alert);
    revisions.sort((one, other) => one.revision - other.revision);
    if (revisions.length > MOST_REVISIONS) revisions.splice(1, 1);
    this.alertsById.set(alert.id, revisions);
    this.dropOldestAlerts();
    this.markChanged("alerts");
  }

  private dropOldestAlerts(): void {
    if (this.alertsById.size <= MOST_ALERTS) return;
    const oldest = [...this.alertsById].sort(([, one], [, other]) => newest(one) - newest(other)).slice(0, MOST_ALERTS / 10);
    for (const [id] of oldest) this.alertsById.delete(id);
  }

  /** Moves the clock of the stream forward; returns the time in milliseconds. */
  private advanceClock(time: string): number {
    const at = Date.parse(time);
    if (at > this.clock) {
      this.clock = at;
      this.markChanged("clock");
    }
    return at;
  }

  private extendHistory(at: number): void {
    this.earliest = Math.min(this.earliest, at);
  }

  private markChanged(topic: Topic): void {
    this.changed.add(topic);
  }
}

function series<Value>(all: Map<string, Series<Value>>, key: string, most: number): Series<Value> {
  const entry = all.get(key) ?? new Series<Value>(most);
  all.set(key, entry);
  return entry;
}

function newest(revisions: readonly Alert[]): number {
  return Date.parse(revisions.at(-1)?.issued_at ?? "");
}

/** The magnitude of the earthquake that an alert is about; 0 for other alerts. */
function size(revisions: readonly Alert[]): number {
  const last = revisions.at(-1);
  return last?.kind === "magnitude" ? (last.value ?? 0) : 0;
}

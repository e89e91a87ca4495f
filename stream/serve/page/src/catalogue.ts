// The earthquakes that the page has, each with its versions, so that it can show what was known at any moment. Bounded.
import type { Change, KnownEvent, SeismicEvent } from "./records";

const MOST_EVENTS = 6000;
const MOST_VERSIONS = 12;

interface Version {
  at: number;
  region: string;
  /** Null if this version deletes or merges the event. */
  event: SeismicEvent | null;
}

/** An event as it was known at some moment. */
export interface Quake extends SeismicEvent {
  region: string;
  /** Origin time. */
  at: number;
  firstSeen: number;
  versions: number;
}

/** A magnitude, and when it was first reported. */
export interface Reported {
  at: number;
  magnitude: number | null;
}

interface Entry {
  /** Whether the first version has the newest values, because the earlier versions are not known. */
  isSeed: boolean;
  versions: Version[];
  /** The number of versions, including those that were dropped. */
  count: number;
  origin: number;
}

export class Catalogue {
  private readonly entries = new Map<string, Entry>();

  get size(): number {
    return this.entries.size;
  }

  /** Adds the newest version of an event, from the API, whose earlier versions are not known. */
  seed(known: KnownEvent): void {
    if (this.entries.has(known.id)) return;
    const { region, observed_at, versions, deleted, ...event } = known;
    const list: Version[] = [{ at: Date.parse(observed_at), region, event }];
    if (deleted) list.push({ at: Date.parse(observed_at) + 1, region, event: null });
    this.entries.set(known.id, { isSeed: true, versions: list, count: versions, origin: Date.parse(known.time) });
    this.dropOldest();
  }

  /** Applies one change; returns false if it changes nothing. */
  apply(change: Change): boolean {
    const at = Date.parse(change.observed_at);
    const version = { at, region: change.region, event: change.event };
    const entry = this.entries.get(change.id);
    const isFirst = entry === undefined || (entry.isSeed && at <= (entry.versions[0] as Version).at);
    if (isFirst) {
      if (change.event === null) return false;
      this.entries.set(change.id, { isSeed: false, versions: [version], count: 1, origin: Date.parse(change.event.time) });
      this.dropOldest();
      return true;
    }
    return this.addVersion(entry, version);
  }

  /** Returns the events in (since, moment] as they were known at that moment, newest first. */
  knownAt(moment: number, since: number): Quake[] {
    const quakes: Quake[] = [];
    for (const entry of this.entries.values()) {
      const quake = entry.origin > since - 1 ? asOf(entry, moment) : null;
      if (quake !== null && quake.at > since && quake.at <= moment) quakes.push(quake);
    }
    return quakes.sort((one, other) => other.at - one.at);
  }

  /** Returns the magnitudes of an event that were reported until a moment, each once when it changed. */
  magnitudes(id: string, moment: number): Reported[] {
    const versions = this.entries.get(id)?.versions.filter(({ at, event }) => at <= moment && event !== null) ?? [];
    const reported = versions.map(({ at, event }) => ({ at, magnitude: event?.magnitude ?? null }));
    return reported.filter(({ magnitude }, index) => index === 0 || rounded(magnitude) !== rounded(reported[index - 1]?.magnitude ?? null));
  }

  find(id: string, moment: number): Quake | null {
    const entry = this.entries.get(id);
    return entry === undefined ? null : asOf(entry, moment);
  }

  private addVersion(entry: Entry, version: Version): boolean {
    const last = entry.versions.at(-1) as Version;
    if (version.at < last.at || (version.at === last.at && same(version, last))) return false;
    // An event that moves across a border is deleted in one region and added in the other at the same moment: keep the addition.
    if (version.at === last.at && version.event === null && version.region !== last.region) return false;
    entry.versions.push(version);
    entry.count += version.event === null ? 0 : 1;
    if (version.event !== null) entry.origin = Date.parse(version.event.time);
    if (entry.versions.length > MOST_VERSIONS) entry.versions.splice(1, 1); // keep the first version: it has the time since when the event is known
    return true;
  }

  /** If there are too many events, drops the oldest tenth. */
  private dropOldest(): void {
    if (this.entries.size <= MOST_EVENTS) return;
    const oldest = [...this.entries].sort(([, one], [, other]) => one.origin - other.origin).slice(0, MOST_EVENTS / 10);
    for (const [id] of oldest) this.entries.delete(id);
  }
}

function asOf(entry: Entry, moment: number): Quake | null {
  let version: Version | null = null;
  for (const each of entry.versions) if (each.at <= moment) version = each;
  if (version === null || version.event === null) return null;
  const first = entry.versions[0] as Version;
  return { ...version.event, region: version.region, at: Date.parse(version.event.time), firstSeen: first.at, versions: entry.count };
}

/** To the tenth that people read. */
function rounded(magnitude: number | null): string | null {
  return magnitude === null ? null : magnitude.toFixed(1);
}

function same(one: Version, other: Version): boolean {
  return one.region === other.region && JSON.stringify(one.event) === JSON.stringify(other.event);
}

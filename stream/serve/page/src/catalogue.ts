// The earthquakes that the page knows of: each with its versions, so that it can say what was known at a moment. Bounded.
import type { Change, KnownEvent, SeismicEvent } from "./records";

const MOST_EVENTS = 6000;
const MOST_VERSIONS = 12;

interface Version {
  at: number;
  region: string;
  /** None from when it was deleted or merged. */
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

interface Entry {
  versions: Version[];
  /** How many there were, also those that are no longer kept. */
  count: number;
  origin: number;
}

export class Catalogue {
  private readonly entries = new Map<string, Entry>();

  get size(): number {
    return this.entries.size;
  }

  /** The newest version, from the API, of an event whose earlier ones are not known. */
  seed(known: KnownEvent): void {
    if (this.entries.has(known.id)) return;
    const { region, observed_at, versions, deleted, ...event } = known;
    const kept: Version[] = [{ at: Date.parse(observed_at), region, event }];
    if (deleted) kept.push({ at: Date.parse(observed_at) + 1, region, event: null });
    this.entries.set(known.id, { versions: kept, count: versions, origin: Date.parse(known.time) });
    this.forget();
  }

  /** Takes one change; false when it was known. */
  take(change: Change): boolean {
    const at = Date.parse(change.observed_at);
    const version = { at, region: change.region, event: change.event };
    const entry = this.entries.get(change.id);
    if (entry === undefined) {
      if (change.event === null) return false;
      this.entries.set(change.id, { versions: [version], count: 1, origin: Date.parse(change.event.time) });
      this.forget();
      return true;
    }
    return this.revise(entry, version);
  }

  /** The events known at a moment that happened in (since, moment], newest first. */
  known(moment: number, since: number): Quake[] {
    const found: Quake[] = [];
    for (const entry of this.entries.values()) {
      const quake = entry.origin > since - 1 ? asOf(entry, moment) : null;
      if (quake !== null && quake.at > since && quake.at <= moment) found.push(quake);
    }
    return found.sort((one, other) => other.at - one.at);
  }

  find(id: string, moment: number): Quake | null {
    const entry = this.entries.get(id);
    return entry === undefined ? null : asOf(entry, moment);
  }

  /** An event as it was last described, even when it was withdrawn since. */
  lastSaid(id: string): SeismicEvent | null {
    const versions = this.entries.get(id)?.versions ?? [];
    for (let index = versions.length - 1; index >= 0; index -= 1) {
      const event = versions[index]?.event;
      if (event) return event;
    }
    return null;
  }

  private revise(entry: Entry, version: Version): boolean {
    const last = entry.versions.at(-1) as Version;
    if (version.at < last.at || (version.at === last.at && same(version, last))) return false;
    // Across a border an event is deleted in the one region and added in the other, at the same moment: the addition holds.
    if (version.at === last.at && version.event === null && version.region !== last.region) return false;
    entry.versions.push(version);
    entry.count += version.event === null ? 0 : 1;
    if (version.event !== null) entry.origin = Date.parse(version.event.time);
    if (entry.versions.length > MOST_VERSIONS) entry.versions.splice(1, 1); // the first one says since when it is known
    return true;
  }

  /** Over the bound, the tenth that happened longest ago goes. */
  private forget(): void {
    if (this.entries.size <= MOST_EVENTS) return;
    const oldest = [...this.entries].sort(([, one], [, other]) => one.origin - other.origin).slice(0, MOST_EVENTS / 10);
    for (const [id] of oldest) this.entries.delete(id);
  }
}

function asOf(entry: Entry, moment: number): Quake | null {
  let found: Version | null = null;
  for (const version of entry.versions) if (version.at <= moment) found = version;
  if (found === null || found.event === null) return null;
  const first = entry.versions[0] as Version;
  return { ...found.event, region: found.region, at: Date.parse(found.event.time), firstSeen: first.at, versions: entry.count };
}

function same(one: Version, other: Version): boolean {
  return one.region === other.region && JSON.stringify(one.event) === JSON.stringify(other.event);
}

// An outlook: expected numbers of earthquakes in a day, a week, a month and a year, with the field names of the USGS aftershock forecast.
import type { Quake } from "./catalogue";
import type { CameSince } from "./records";

export interface Bin {
  magnitude: number;
  /** Of at least one event. */
  probability: number;
  median: number;
  p95minimum: number;
  p95maximum: number;
}

/** As a bin, for magnitudes from the mainshock's on; without a mainshock, from that of the largest recent event. */
export interface AboveMainshock {
  magnitude: number;
  probability: number;
}

export interface Span {
  /** Milliseconds since 1970, as the USGS uses them, or ISO 8601. */
  timeStart: number | string;
  timeEnd: number | string;
  label: string;
  bins: Bin[];
  aboveMainshockMag: AboveMainshock;
}

export interface Outlook {
  $schema: "quakecast.outlook/1";
  id: string;
  region: string;
  issued_at: string;
  cause: string;
  mainshock: { id: string } | null;
  model: string;
  simulations: number;
  input_sequence: number;
  forecast: Span[];
  /** When the next outlook is due, if no new event changes that: milliseconds since 1970. */
  nextForecastTime: number;
  test?: boolean;
}

/** A bin beside what has been observed. */
export interface ComparedBin extends Bin {
  observed: number;
  standing: Standing;
}

export type Standing = "so far within" | "within" | "above" | "below";

/**
 * Compares each bin of an outlook's spans with the events so far.
 *
 * @param counted the counts of the server, which keeps events for longer than the page; null to count the events given.
 */
export function compare(
  outlook: Outlook,
  known: readonly Quake[],
  now: number,
  counted: readonly CameSince[] | null,
): { span: Span; bins: ComparedBin[] }[] {
  return outlook.forecast.map((span) => {
    const isOver = timeOf(span.timeEnd) <= now;
    const counts = counted?.find(({ label }) => label === span.label)?.counts;
    const bins = span.bins.map((bin, index) => {
      const observed = counts?.[index] ?? countSince(span, bin.magnitude, known, now);
      return { ...bin, observed, standing: standing(bin, observed, isOver) };
    });
    return { span, bins };
  });
}

/** Counts the known earthquakes of at least a magnitude in the part of a span that is over. */
export function countSince(span: Span, magnitude: number, known: readonly Quake[], now: number): number {
  const start = timeOf(span.timeStart);
  const end = Math.min(timeOf(span.timeEnd), now);
  return known.filter((quake) => quake.at > start && quake.at <= end && (quake.magnitude ?? -9) >= magnitude - 1e-9).length;
}

export function timeOf(time: number | string): number {
  return typeof time === "number" ? time : Date.parse(time);
}

/** Compares a count with the 95 % range. Before the span is over, a small count is not yet below the range. */
export function standing(bin: Bin, observed: number, isOver: boolean): Standing {
  if (observed > bin.p95maximum) return "above";
  if (isOver && observed < bin.p95minimum) return "below";
  return isOver ? "within" : "so far within";
}

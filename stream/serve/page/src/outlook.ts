// An outlook: how many earthquakes to expect in a day, a week, a month and a year, in the field names of the USGS aftershock forecast.
import type { Quake } from "./catalogue";

export interface Bin {
  magnitude: number;
  /** Of at least one. */
  probability: number;
  median: number;
  p95minimum: number;
  p95maximum: number;
}

export interface Span {
  /** Milliseconds since 1970, as the USGS has them, or ISO 8601. */
  timeStart: number | string;
  timeEnd: number | string;
  label: string;
  bins: Bin[];
}

export interface Outlook {
  $schema: "quakecast.outlook/1";
  id: string;
  region: string;
  issued_at: string;
  cause: string;
  mainshock: string | null;
  model: string;
  simulations: number;
  input_sequence: number;
  forecast: Span[];
  test?: boolean;
}

/** How many earthquakes of at least a magnitude came in a span so far, of those that are known. */
export function cameSince(span: Span, magnitude: number, known: readonly Quake[], now: number): number {
  const start = timeOf(span.timeStart);
  const end = Math.min(timeOf(span.timeEnd), now);
  return known.filter((quake) => quake.at > start && quake.at <= end && (quake.magnitude ?? -9) >= magnitude - 1e-9).length;
}

export function timeOf(time: number | string): number {
  return typeof time === "number" ? time : Date.parse(time);
}

/** How the count stands against the 95 % range. */
export function standing(bin: Bin, came: number, over: boolean): "so far within" | "within" | "above" | "below" {
  if (came > bin.p95maximum) return "above";
  if (over && came < bin.p95minimum) return "below";
  return over ? "within" : "so far within";
}

// An outlook: expected numbers of earthquakes in a day, a week, a month and a year, with the field names of the USGS aftershock forecast.
import type { Quake } from "./catalogue";

export interface Bin {
  magnitude: number;
  /** Of at least one event. */
  probability: number;
  median: number;
  p95minimum: number;
  p95maximum: number;
}

export interface Span {
  /** Milliseconds since 1970, as the USGS uses them, or ISO 8601. */
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
export function standing(bin: Bin, observed: number, isOver: boolean): "so far within" | "within" | "above" | "below" {
  if (observed > bin.p95maximum) return "above";
  if (isOver && observed < bin.p95minimum) return "below";
  return isOver ? "within" : "so far within";
}

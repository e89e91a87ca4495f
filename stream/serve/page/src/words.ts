// Formats numbers and times for people.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** `6 Feb 2023, 01:17 UTC`. */
export function moment(time: number | string): string {
  const date = new Date(time);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}, ${clock(date)} UTC`;
}

/** `6 Feb 01:17`, without the year: for lists whose heading names UTC. */
export function shortMoment(time: number | string): string {
  const date = new Date(time);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${clock(date)}`;
}

/** Replaces the ISO 8601 times in a sentence by the form of `moment`. */
export function readable(sentence: string): string {
  return sentence.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z/g, (time) => moment(time));
}

function clock(date: Date): string {
  return date.toISOString().slice(11, 16);
}

/** A probability in percent; never 0 % or 100 %, because no forecast is certain. */
export function percent(probability: number): string {
  const value = probability * 100;
  if (value > 99.9) return "over 99.9 %";
  if (value >= 99) return `${value.toFixed(1)} %`;
  if (value >= 9.95) return `${Math.round(value)} %`;
  if (value >= 0.995) return `${value.toFixed(1)} %`;
  if (value >= 0.01) return `${Number(value.toPrecision(1))} %`;
  return "under 0.01 %";
}

/** A share of a whole in percent; here 0 % and 100 % are possible. */
export function share(part: number): string {
  const value = part * 100;
  return value >= 9.95 || value === 0 ? `${Math.round(value)} %` : value >= 0.95 ? `${value.toFixed(1)} %` : "under 1 %";
}

/** `40 s`, `12 min`, `3.4 hours`, `5.2 days`, `3 years`. */
export function duration(seconds: number): string {
  if (seconds < 0) return `${Math.round(seconds)} s`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `${round(seconds / 3600)} hours`;
  if (seconds < 730 * 86400) return `${round(seconds / 86400)} days`;
  return `${round(seconds / 86400 / 365.25)} years`;
}

/** A latency: milliseconds below one second. */
export function latency(seconds: number | null): string {
  if (seconds === null) return "–";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : duration(seconds);
}

function round(value: number): string {
  return value < 9.95 ? String(Number(value.toFixed(1))) : Math.round(value).toString();
}

/** `just now`, `4 min ago`. */
export function ago(milliseconds: number): string {
  return milliseconds < 30_000 ? "just now" : `${duration(milliseconds / 1000)} ago`;
}

export function magnitude(value: number | null): string {
  return value === null ? "M ?" : `M ${value.toFixed(1).replace("-", "−")}`;
}

/** `35.8° N, 117.6° W`. */
export function place(latitude: number, longitude: number): string {
  const north = `${Math.abs(latitude).toFixed(1)}° ${latitude < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(longitude).toFixed(1)}° ${longitude < 0 ? "W" : "E"}`;
}

/** `0.034` as `+0.034`, with a real minus sign. */
export function signed(value: number, digits = 3): string {
  if (value === 0) return "0";
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

export function count(value: number, one: string, many: string): string {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

/** `12.3` as `12`, `1.23` as `1.2`, `0.0123` as `0.012`. */
export function number(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(2)));
}

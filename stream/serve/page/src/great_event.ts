// The large recent earthquake that the page puts first, and what is expected after it: one sentence for the next day and one for the week.
import type { Quake, Reported } from "./catalogue";
import type { Outlook, Span } from "./outlook";
import type { Forecast } from "./records";
import { DAY, HOUR, magnitude, percent, shortMoment } from "./words";

/** How long an earthquake of at least a magnitude stays first. */
const LARGE = [
  { magnitude: 6, days: 1 },
  { magnitude: 7, days: 7 },
] as const;
export const LONGEST_DAYS = Math.max(...LARGE.map(({ days }) => days));
/** Magnitudes that the sentences name. */
const NAMED = [5, 6] as const;
const SPANS = [
  { words: "Within a day", label: "1 Day", key: "1d" },
  { words: "Within a week", label: "1 Week", key: "7d" },
] as const;
const EARLY_HOURS = 6;
/** How long the first outlook after an earthquake may take. */
const SOON_HOURS = 1;

/** Returns the largest of the earthquakes that are large for their age; null if there is none. */
export function greatest(quakes: readonly Quake[], now: number): Quake | null {
  const large = quakes.filter((quake) => {
    const size = quake.magnitude ?? -9;
    return quake.type === "earthquake" && LARGE.some(({ magnitude: least, days }) => size >= least && now - quake.at <= days * DAY);
  });
  return large.reduce<Quake | null>((best, quake) => ((quake.magnitude ?? 0) > (best?.magnitude ?? 0) ? quake : best), null);
}

/** Returns how the magnitude was revised, as a sentence. */
export function revisions(reported: readonly Reported[], status: string): string {
  const steps = reported.map(({ at, magnitude: size }) => `${magnitude(size)} (${shortMoment(at)} UTC)`);
  const later = status === "reviewed" ? "reviewed by a seismologist" : "automatic, not reviewed yet";
  if (steps.length < 2) return `Magnitude: not revised so far; ${later}.`;
  return `Magnitude as reported: ${steps.join(", then ")}; ${later}.`;
}

/** Returns the sentences about the next day and week, and where they come from. */
export function prospects(quake: Quake, outlook: Outlook | null, forecast: Forecast | null, now: number): string[] {
  if (outlook !== null && Date.parse(outlook.issued_at) >= quake.firstSeen) return fromOutlook(quake, outlook);
  const exceedance = forecast?.exceedance?.probability;
  const lines =
    exceedance === undefined ? [] : SPANS.map(({ words, key }) => `${words}, ${named((size) => exceedance[String(size)]?.[key])}.`);
  const isSoon = now - quake.firstSeen < SOON_HOURS * HOUR;
  return [
    ...lines,
    `No outlook has been issued since this earthquake${isSoon ? " yet; it will have the ranges, too" : ", so the ranges are missing"}.`,
  ];
}

function fromOutlook(quake: Quake, outlook: Outlook): string[] {
  const lines = SPANS.flatMap(({ words, label }) => {
    const span = outlook.forecast.find((each) => each.label === label);
    return span === undefined ? [] : [`${words} of ${shortMoment(outlook.issued_at)} UTC, ${inSpan(span)}.`];
  });
  const isEarly = Date.parse(outlook.issued_at) - quake.at < EARLY_HOURS * HOUR;
  const uncertainty = isEarly
    ? "In the first hours this is most uncertain: many aftershocks are not known yet, and magnitudes are still revised."
    : "The ranges hold 95 of 100 simulated continuations; about one outlook in twenty will miss its range.";
  return [...lines, uncertainty];
}

function inSpan(span: Span): string {
  const bin = (size: number) => span.bins.find((each) => each.magnitude === size);
  const first = bin(NAMED[0]);
  const range = first === undefined ? "" : ` (${first.p95minimum} to ${first.p95maximum} of them, median ${first.median})`;
  const { magnitude: size, probability } = span.aboveMainshockMag;
  const larger = size > NAMED[1] ? `; M ${size.toFixed(1)} or more: ${percent(probability)}` : "";
  return named((each) => bin(each)?.probability, range) + larger;
}

/** Names the probabilities: `M 5 or more: 96 % (…); M 6 or more: 31 %`. */
function named(probability: (size: number) => number | undefined, afterFirst = ""): string {
  return NAMED.flatMap((size, index) => {
    const value = probability(size);
    return value === undefined ? [] : [`M ${size} or more: ${percent(value)}${index === 0 ? afterFirst : ""}`];
  }).join("; ");
}

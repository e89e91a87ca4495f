// The quantities that colour the map and order the list of regions.
import type { Forecast } from "./records";
import { number, percent } from "./words";

export interface Measure {
  id: string;
  /** The text of the choice. */
  label: string;
  of: (forecast: Forecast) => number | null;
  format: (value: number) => string;
  /** Formats a threshold for the legend, in `unit`. */
  formatThreshold: (value: number) => string;
  unit: string;
  /** The values between the colour classes. */
  thresholds: readonly number[];
}

const PROBABILITIES = [0.01, 0.03, 0.1, 0.2, 0.4, 0.7] as const;
const IN_PERCENT = { formatThreshold: (value: number): string => number(100 * value), unit: "%" };
const GAINS = [0.5, 2, 5, 20, 100, 500] as const;

function exceeding(magnitude: string, span: string, words: string): Measure {
  return {
    id: `m${magnitude}-${span}`,
    label: `M ≥ ${magnitude} within ${words}`,
    of: (forecast) => forecast.exceedance?.probability[magnitude]?.[span] ?? null,
    format: percent,
    ...IN_PERCENT,
    thresholds: PROBABILITIES,
  };
}

export const MEASURES: readonly Measure[] = [
  exceeding("5", "1d", "a day"),
  exceeding("6", "1d", "a day"),
  exceeding("5", "7d", "a week"),
  exceeding("6", "7d", "a week"),
  exceeding("6", "30d", "a month"),
  exceeding("7", "30d", "a month"),
  {
    id: "gain",
    label: "M ≥ 5 within a day, relative to the long-term probability",
    of: (forecast) => forecast.exceedance?.gain["5"]?.["1d"] ?? null,
    format: (value) => `${number(value)} ×`,
    formatThreshold: number,
    unit: "×",
    thresholds: GAINS,
  },
  {
    id: "next-1d",
    label: "any event above completeness within a day",
    of: (forecast) => forecast.wait.probability_within["1d"] ?? null,
    format: percent,
    ...IN_PERCENT,
    thresholds: [0.05, 0.1, 0.3, 0.5, 0.8, 0.95],
  },
];

/** Returns the colour class of a value, 0 for the lowest; there is one class more than thresholds. */
export function classOf(measure: Measure, value: number): number {
  return measure.thresholds.filter((threshold) => value >= threshold).length;
}

// A map of a region: expected numbers of earthquakes by cell for several horizons and magnitudes, and the quantity that its colours show.

export interface GriddedForecast {
  $schema: "quakecast.map/1";
  id: string;
  region: string;
  issued_at: string;
  magnitude_of_completeness: number;
  horizons_days: number[];
  /** Lower edges of the bins; the last bin is open. */
  magnitudes: number[];
  /** By horizon, the share of the events in each bin. */
  shares: number[][];
  totals: number[];
  step_degrees: number;
  cells: { south: number[]; west: number[]; size_degrees: number[] };
  /** By horizon, the expected number in each cell. */
  expected: number[][];
  test?: boolean;
}

export type Quantity = "expected" | "probability";

/** What the user chose of a map. */
export interface Choice {
  /** Index of the horizon. */
  horizon: number;
  /** Index of the smallest magnitude's bin. */
  bin: number;
  quantity: Quantity;
}

/** A square cell, degrees. */
export interface Square {
  south: number;
  west: number;
  size: number;
  /** The expected number of events in it. */
  expected: number;
  /** The class of its colour. */
  colour: number;
}

const CLASS_FACTORS = [1 / 300, 1 / 100, 1 / 30, 1 / 10, 1 / 3, 1] as const;
const HORIZONS = new Map([
  [1, "day"],
  [7, "week"],
  [30, "30 days"],
  [365, "year"],
]);

export function horizonWords(days: number): string {
  return `next ${HORIZONS.get(days) ?? `${days} days`}`;
}

/** Returns the share of the events that have at least the chosen magnitude. */
export function shareFrom(map: GriddedForecast, { horizon, bin }: Choice): number {
  return (map.shares[horizon] ?? []).slice(bin).reduce((sum, share) => sum + share, 0);
}

/** The probability of one or more events, for a Poisson law. */
export function probabilityOfAny(expected: number): number {
  return -Math.expm1(-expected);
}

/**
 * Returns the values between the seven colours: 1, 3, 10, 30 … below the largest value, rounded to one digit.
 *
 * @param largest of the quantity in a cell of the smallest size.
 */
export function thresholds(largest: number): number[] {
  const top = 10 ** Math.floor(Math.log10(Math.max(largest, 1e-12)));
  const rounded = largest >= 3 * top ? 3 * top : top;
  return CLASS_FACTORS.map((factor) => Number((rounded * factor).toPrecision(1)));
}

/** Returns the quantity that a cell’s colour shows: that of a cell of the smallest size, because cells have different sizes. */
export function shown(expected: number, size: number, step: number, quantity: Quantity): number {
  const density = expected * (step / size) ** 2;
  return quantity === "expected" ? density : probabilityOfAny(density);
}

/** Returns the cells with their colours, and the values between these. */
export function squares(map: GriddedForecast, choice: Choice): { cells: Square[]; edges: number[] } {
  const { south, west, size_degrees: sizes } = map.cells;
  const part = shareFrom(map, choice);
  const expected = (map.expected[choice.horizon] ?? []).map((number) => number * part);
  const values = expected.map((number, index) => shown(number, sizes[index] ?? 1, map.step_degrees, choice.quantity));
  const edges = thresholds(values.reduce((one, other) => Math.max(one, other), 0));
  const cells = expected.map((number, index) => ({
    south: south[index] ?? 0,
    west: west[index] ?? 0,
    size: sizes[index] ?? 0,
    expected: number,
    colour: edges.filter((edge) => (values[index] ?? 0) >= edge).length,
  }));
  return { cells, edges };
}

/** Returns the cell that a point lies in; null if none does. */
export function cellAt(cells: readonly Square[], longitude: number, latitude: number): Square | null {
  const holds = ({ south, west, size }: Square): boolean =>
    latitude >= south && latitude < south + size && longitude >= west && longitude < west + size;
  return cells.find(holds) ?? null;
}

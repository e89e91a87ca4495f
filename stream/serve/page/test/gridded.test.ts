import assert from "node:assert/strict";
import { test } from "node:test";
import { outline } from "../src/cell_marks";
import { cellAt, probabilityOfAny, shareFrom, shown, squares, thresholds, type Choice, type GriddedForecast } from "../src/gridded";

const MAP = {
  horizons_days: [1, 7],
  magnitudes: [2.5, 4, 5],
  shares: [
    [0.9, 0.08, 0.02],
    [0.8, 0.15, 0.05],
  ],
  step_degrees: 0.1,
  cells: { south: [35, 35, 35.2], west: [-117.2, -117.1, -117.2], size_degrees: [0.1, 0.1, 0.2] },
  expected: [
    [1, 0.1, 0.004],
    [5, 0.6, 0.03],
  ],
} as unknown as GriddedForecast;
const EVERYTHING: Choice = { horizon: 0, bin: 0, quantity: "expected" };

test("the share of a magnitude is the sum of the bins from it on", () => {
  assert.ok(Math.abs(shareFrom(MAP, { ...EVERYTHING, bin: 1 }) - 0.1) < 1e-12);
  assert.ok(Math.abs(shareFrom(MAP, { ...EVERYTHING, horizon: 1, bin: 2 }) - 0.05) < 1e-12);
});

test("the probability of one or more is close to a small expected number and never over one", () => {
  assert.ok(Math.abs(probabilityOfAny(1e-9) / 1e-9 - 1) < 1e-6);
  assert.equal(probabilityOfAny(1e6), 1);
});

test("thresholds begin at a round number below the largest value", () => {
  assert.deepEqual(thresholds(0.42), [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]);
  assert.deepEqual(thresholds(0.2), [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]);
  assert.ok(thresholds(0).every((edge, index, all) => edge > 0 && (index === 0 || edge > (all[index - 1] ?? 0))));
});

test("a large cell has the colour of its density, not of its sum", () => {
  const { cells } = squares(MAP, EVERYTHING);
  assert.deepEqual(
    cells.map((cell) => cell.colour),
    [6, 4, 0],
  );
  assert.ok(Math.abs(shown(0.004, 0.2, 0.1, "expected") - 0.001) < 1e-12);
});

test("numbers are of the chosen horizon and magnitude", () => {
  const { cells } = squares(MAP, { horizon: 1, bin: 1, quantity: "probability" });
  assert.ok(Math.abs((cells[0]?.expected ?? 0) - 1) < 1e-9);
});

test("a point lies in one cell, or in none", () => {
  const { cells } = squares(MAP, EVERYTHING);
  assert.equal(cellAt(cells, -117.05, 35.05), cells[1]);
  assert.equal(cellAt(cells, -117.01, 35.399), cells[2]);
  assert.equal(cellAt(cells, -116.9, 35.05), null);
});

test("the sides of a large cell have points between the corners", () => {
  const cell = { south: 10, west: 20, size: 4, expected: 0, colour: 0 };
  assert.equal(outline(cell).length, 16);
  assert.deepEqual(outline({ ...cell, size: 0.5 }), [
    [20, 10],
    [20.5, 10],
    [20.5, 10.5],
    [20, 10.5],
  ]);
});

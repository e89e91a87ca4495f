import assert from "node:assert/strict";
import { test } from "node:test";
import type { GeoProjection } from "d3-geo";
import type { Quake } from "../src/catalogue";
import { fillOf, nearest, place, radiusOf } from "../src/event_marks";

function quake(id: string, magnitude: number, longitude: number, at = 0): Quake {
  return { id, magnitude, longitude, latitude: 0, at } as Quake;
}

const FLAT = (([longitude, latitude]: [number, number]) => [longitude, latitude]) as unknown as GeoProjection;

test("the aftershocks of a great earthquake are drawn over it, show through it and are found by the pointer", () => {
  const quakes = [quake("aftershock", 4.7, 103, 2), quake("great", 7.8, 100, 1), quake("other", 4.6, 96, 3)];
  const marks = place(quakes, FLAT, 1, 200, 200);
  assert.deepEqual(
    marks.map((mark) => mark.quake.id),
    ["great", "aftershock", "other"],
  );
  assert.equal(nearest(marks, 103, 0)?.quake.id, "aftershock");
  assert.equal(nearest(marks, 100, 9)?.quake.id, "great");
  assert.equal(nearest(marks, 180, 100), null);
  assert.ok(fillOf(radiusOf(7.8, 1)) < 0.3);
  assert.equal(fillOf(radiusOf(4.5, 1)), 1);
});

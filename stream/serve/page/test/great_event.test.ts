import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalogue, type Quake } from "../src/catalogue";
import { greatest, prospects, revisions } from "../src/great_event";
import { isWebAddress } from "../src/headline_card";
import type { Outlook } from "../src/outlook";
import type { Change, Forecast, KnownEvent } from "../src/records";
import { DAY, HOUR, MINUTE } from "../src/words";

const NOW = Date.parse("2023-02-07T01:20:00Z");

function quake(id: string, magnitude: number, hoursAgo: number, type = "earthquake"): Quake {
  return { id, magnitude, type, at: NOW - hoursAgo * HOUR, firstSeen: NOW - hoursAgo * HOUR + 10 * MINUTE } as Quake;
}

test("the largest earthquake comes first while it is large for its age", () => {
  const quakes = [quake("M 7.5", 7.5, 15), quake("M 7.8", 7.8, 24.1), quake("M 6.2", 6.2, 3), quake("test site", 8, 1, "explosion")];
  assert.equal(greatest(quakes, NOW)?.id, "M 7.8");
  assert.equal(greatest([quake("M 6.9", 6.9, 25)], NOW), null);
  assert.equal(greatest([quake("M 5.9", 5.9, 0.1)], NOW), null);
  assert.equal(greatest(quakes, NOW + 8 * DAY), null);
});

test("the revisions of a magnitude are named once each, also when the newest version was known before its history", () => {
  const catalogue = new Catalogue();
  const version = (minutes: number, magnitude: number) => ({
    observed_at: new Date(NOW + minutes * MINUTE).toISOString(),
    event: { id: "e", time: new Date(NOW).toISOString(), magnitude, place: "somewhere" },
  });
  catalogue.seed({
    ...version(0, 7.8).event,
    observed_at: version(0, 0).observed_at,
    versions: 4,
    deleted: false,
    region: "r",
  } as KnownEvent);
  for (const [minutes, magnitude] of [
    [0, 7.9],
    [5, 7.91],
    [9, 7.8],
    [30, 7.8],
  ] as const)
    catalogue.apply({ ...version(minutes, magnitude), kind: "updated", region: "r", id: "e" } as unknown as Change);
  const reported = catalogue.magnitudes("e", NOW + HOUR);
  assert.deepEqual(
    reported.map(({ magnitude }) => magnitude),
    [7.9, 7.8],
  );
  assert.equal(catalogue.find("e", NOW + HOUR)?.versions, 4);
  assert.equal(
    revisions(reported, "automatic"),
    "Magnitude as reported: M 7.9 (7 Feb 01:20 UTC), then M 7.8 (7 Feb 01:29 UTC); automatic, not reviewed yet.",
  );
});

test("what may follow is that of an outlook since the earthquake, and until there is one that of the forecast", () => {
  const great = quake("M 7.8", 7.8, 1);
  const bins = [5, 6].map((magnitude) => ({
    magnitude,
    probability: magnitude === 5 ? 0.96 : 0.31,
    median: 4,
    p95minimum: 0,
    p95maximum: 17,
  }));
  const spans = ["1 Day", "1 Week"].map((label) => ({ label, bins, aboveMainshockMag: { magnitude: 7.8, probability: 0.012 } }));
  const outlook = (minutes: number) =>
    ({ issued_at: new Date(great.at + minutes * MINUTE).toISOString(), forecast: spans }) as unknown as Outlook;
  const forecast = { exceedance: { probability: { "5": { "1d": 0.8, "7d": 0.9 }, "6": { "1d": 0.1, "7d": 0.2 } } } } as unknown as Forecast;
  const [day, week, doubt] = prospects(great, outlook(20), forecast, NOW);
  assert.equal(
    day,
    "Within a day of 7 Feb 00:40 UTC, M 5 or more: 96 % (0 to 17 of them, median 4); M 6 or more: 31 %; M 7.8 or more: 1.2 %.",
  );
  assert.match(week ?? "", /^Within a week of 7 Feb 00:40 UTC, /);
  assert.match(doubt ?? "", /most uncertain/);
  assert.deepEqual(prospects(great, outlook(-60), forecast, NOW).slice(0, 2), [
    "Within a day, M 5 or more: 80 %; M 6 or more: 10 %.",
    "Within a week, M 5 or more: 90 %; M 6 or more: 20 %.",
  ]);
  assert.deepEqual(prospects(great, null, null, NOW), [
    "No outlook has been issued since this earthquake yet; it will have the ranges, too.",
  ]);
  assert.deepEqual(prospects(great, null, null, NOW + DAY), [
    "No outlook has been issued since this earthquake, so the ranges are missing.",
  ]);
});

test("only addresses of the web become links", () => {
  assert.ok(isWebAddress("https://earthquake.usgs.gov/earthquakes/eventpage/us6000jllz"));
  for (const text of ["javascript:alert(1)", "eventpage/us6000jllz", "", null, undefined]) assert.ok(!isWebAddress(text));
});

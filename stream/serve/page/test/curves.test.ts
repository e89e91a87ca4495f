import assert from "node:assert/strict";
import { test } from "node:test";
import { geoArea } from "d3-geo";
import { bannersFor, type Situation } from "../src/banners";
import { magnitudeCurve, probabilityWithin, waitCurve } from "../src/distribution";
import { outline, sphericalPolygon } from "../src/geometry";
import { whyNotLive } from "../src/liveness";
import { compare, countSince, standing, type Outlook } from "../src/outlook";
import { age } from "../src/outlook_figure";
import type { CameSince, Forecast, Status } from "../src/records";
import { running, total } from "../src/scores";
import { byStanding, standing as alertStanding } from "../src/tape";
import { duration, percent, readable } from "../src/words";

// The record in docs/consumers.md.
const FORECAST = {
  magnitude_of_completeness: 2.5,
  wait: {
    median_hours: 8.53255,
    quantiles_hours: { "0.05": 0.218213, "0.25": 3.06885, "0.5": 8.53255, "0.75": 19.2002, "0.95": 51.0678 },
    probability_within: { "1h": 0.117499, "1d": 0.810419, "7d": 0.999082, "30d": 0.999999 },
  },
  magnitude: {
    quantiles: { "0.05": 2.51887, "0.5": 2.80289, "0.95": 3.7772 },
    probability_at_least: { "4": 0.0299, "5": 0.0029, "6": 0.00028 },
  },
} as unknown as Forecast;

test("the curve of the time to the next event goes through all points of the forecast and never decreases", () => {
  const curve = waitCurve(FORECAST);
  assert.equal(curve.length, 9);
  for (const [probability, hours] of Object.entries(FORECAST.wait.quantiles_hours))
    assert.ok(Math.abs(probabilityWithin(curve, hours) - Number(probability)) < 1e-12);
  assert.ok(Math.abs(probabilityWithin(curve, 24) - 0.810419) < 1e-12);
  let before = 0;
  for (let hours = 0.01; hours < 900; hours *= 1.1) {
    const now = probabilityWithin(curve, hours);
    assert.ok(now >= before);
    before = now;
  }
  assert.ok(probabilityWithin(curve, 0.001) > 0);
});

test("the curve of the magnitude starts at 1 at completeness and never increases", () => {
  const curve = magnitudeCurve(FORECAST);
  assert.deepEqual(curve[0], [2.5, 1]);
  assert.deepEqual(curve.at(-1), [6, 0.00028]);
  for (const [index, [, probability]] of curve.entries()) assert.ok(index === 0 || probability <= (curve[index - 1]?.[1] ?? 1));
});

test("regions cover what they enclose, whatever the orientation of their rings, and show no seam at the date line", () => {
  const ring = [
    [170, 50],
    [180, 50],
    [180, 60],
    [170, 60],
    [170, 50],
  ];
  const east = sphericalPolygon({ type: "Polygon", coordinates: [ring] });
  const reversed = sphericalPolygon({ type: "Polygon", coordinates: [[...ring].reverse()] });
  assert.ok(geoArea(east) < 0.05 && Math.abs(geoArea(east) - geoArea(reversed)) < 1e-9);
  for (const line of outline(east).coordinates)
    for (let index = 1; index < line.length; index += 1) assert.ok(!(line[index]?.[0] === 180 && line[index - 1]?.[0] === 180));
  assert.ok(outline(east).coordinates.flat().length >= 16);
});

test("a probability is never shown as 0 % or 100 %", () => {
  assert.equal(percent(0), "under 0.01 %");
  assert.equal(percent(1), "over 99.9 %");
  assert.equal(percent(0.0299), "3.0 %");
  assert.equal(percent(0.42), "42 %");
  assert.equal(duration(47 * 60), "47 min");
  assert.equal(readable("M 6 at 2023-02-06T10:26:48.486Z, near"), "M 6 at 6 Feb 2023, 10:26 UTC, near");
});

function situation(more: Partial<Situation>, feed: Partial<Status["feed"]> = {}): Situation {
  const heard = { time: "2026-01-01T00:00:00Z", age_seconds: 10, heard_seconds_ago: 10, stale: false, trouble: null, ...feed };
  return {
    status: { replay: false, feed: heard } as unknown as Status,
    whyNotLive: null,
    past: null,
    cutOff: "",
    ...more,
  };
}

test("banners are shown for a stale feed, what is not live, the past and a lost connection only", () => {
  const kinds = (of: Situation): string[] => bannersFor(of).map(({ kind }) => kind);
  assert.deepEqual(kinds(situation({})), []);
  assert.deepEqual(kinds(situation({}, { stale: true })), ["stale"]);
  assert.deepEqual(kinds(situation({ whyNotLive: "replay" }, { stale: true })), ["not-live"]);
  assert.deepEqual(kinds(situation({ whyNotLive: "simulation" }, { stale: true })), ["stale", "not-live"]);
  assert.deepEqual(kinds(situation({ past: 0, cutOff: "gone" })), ["cut-off", "past"]);
});

test("only the real feed of today is live", () => {
  const now = Date.parse("2026-01-01T00:01:00Z");
  const status = (more: object, time = "2026-01-01T00:00:00Z", stale = false) => ({ feed: { time, stale }, ...more }) as Status;
  assert.equal(whyNotLive(status({}), null, now), null);
  assert.equal(whyNotLive(status({}), "simulation", now), "simulation");
  assert.equal(whyNotLive(status({ why_not_live: "exercise" }), null, now), "exercise");
  assert.equal(whyNotLive(status({ replay: true }), null, now), "replay");
  assert.equal(whyNotLive(status({}, "2023-02-06T01:17:00Z"), null, now), "clock");
  assert.equal(whyNotLive(status({}, "2023-02-06T01:17:00Z", true), null, now), null);
});

test("an outlook's count covers the span so far, and is compared only as far as possible", () => {
  const span = { timeStart: 0, timeEnd: 1000, label: "1 Day", bins: [], aboveMainshockMag: { magnitude: 6, probability: 0.1 } };
  const quakes = [
    { at: 0, magnitude: 6 },
    { at: 500, magnitude: 5 },
    { at: 900, magnitude: 4.9 },
    { at: 1500, magnitude: 7 },
  ] as never[];
  assert.equal(countSince(span, 5, quakes, 2000), 1);
  assert.equal(countSince(span, 4, quakes, 600), 1);
  const bin = { magnitude: 5, probability: 0.5, median: 3, p95minimum: 2, p95maximum: 9 };
  assert.equal(standing(bin, 0, false), "so far within");
  assert.equal(standing(bin, 0, true), "below");
  assert.equal(standing(bin, 10, false), "above");
});

test("the bins of an outlook stand beside the server's counts, or else beside the events that the page has", () => {
  const bins = [4.5, 5].map((magnitude) => ({ magnitude, probability: 0.5, median: 1, p95minimum: 0, p95maximum: 2 }));
  const span = { timeStart: 0, timeEnd: 1000, label: "1 Day", bins };
  const outlook = { issued_at: "1970-01-01T00:00:00Z", nextForecastTime: 7_200_000, forecast: [span] } as unknown as Outlook;
  const quakes = [4.6, 4.8, 5.2].map((magnitude) => ({ at: 500, magnitude })) as never[];
  const observed = (counted: CameSince[] | null) =>
    compare(outlook, quakes, 600, counted).flatMap(({ bins: compared }) => compared.map((bin) => [bin.observed, bin.standing]));
  assert.deepEqual(observed(null), [
    [3, "above"],
    [1, "so far within"],
  ]);
  assert.deepEqual(observed([{ label: "1 Day", over: false, counts: [9, 2] }])[1], [2, "so far within"]);
  assert.equal(
    age(outlook, 600_000),
    "Issued 10 min ago (1 Jan 1970, 00:00 UTC); the next one is due on 1 Jan 02:00 UTC, or after a large event.",
  );
  assert.match(age(outlook, 7_300_000), /is due now/);
});

test("gains are weighted by events", () => {
  const score = (events: number, etas: number) => ({ events, expected_events: { model: events + 1 }, gain_per_event: { etas } }) as never;
  const sum = total([score(1, 0.4), score(3, 0)]);
  assert.equal(sum.events, 4);
  assert.equal(sum.expected, 6);
  assert.ok(Math.abs((sum.gain["etas"] ?? 0) - 0.1) < 1e-12);
  assert.equal(running("etas", () => [], 0, 10).length, 0);
});

test("alerts are grouped by standing, and keep their order within it", () => {
  const alert = (id: string, alert_type: string, active: boolean) => [{ id, alert_type, active, expires_at: "2023-02-06T02:00:00Z" }];
  const alerts = [
    alert("gone", "retraction", false),
    alert("new", "initial", true),
    alert("past", "update", false),
    alert("old", "update", true),
  ];
  const grouped = byStanding(alerts as never[][], Date.parse("2023-02-06T01:00:00Z")) as unknown as Record<string, { id: string }[][]>;
  const ids = Object.fromEntries(Object.entries(grouped).map(([state, group]) => [state, group.map(([revision]) => revision?.id)]));
  assert.deepEqual(ids, { active: ["new", "old"], over: ["past"], retracted: ["gone"] });
});

test("an alert is over when it has expired, and retracted when it was wrong", () => {
  const alert = (alert_type: string, active: boolean) => [{ alert_type, active, expires_at: "2023-02-06T02:00:00Z" }] as never;
  const now = Date.parse("2023-02-06T01:00:00Z");
  assert.equal(alertStanding(alert("initial", true), now), "active");
  assert.equal(alertStanding(alert("initial", true), now + 7_200_000), "over");
  assert.equal(alertStanding(alert("retraction", false), now), "retracted");
});

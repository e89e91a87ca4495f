import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert, Change, Forecast, SeismicEvent } from "../src/records";
import { Series } from "../src/series";
import { World } from "../src/world";

const START = Date.parse("2023-02-06T00:00:00Z");
const MINUTE = 60_000;

function time(minutes: number): string {
  return new Date(START + minutes * MINUTE).toISOString();
}

function event(id: string, minutes: number, magnitude = 5): SeismicEvent {
  return {
    id,
    time: time(minutes),
    latitude: 37,
    longitude: 37,
    depth_km: 10,
    magnitude,
    magnitude_type: "mww",
    type: "earthquake",
    status: "automatic",
    place: "somewhere",
  };
}

function change(kind: Change["kind"], seen: number, what: SeismicEvent | string, region = "turkiye"): Change {
  const id = typeof what === "string" ? what : what.id;
  return { $schema: "quakecast.change/1", kind, region, observed_at: time(seen), id, event: typeof what === "string" ? null : what };
}

function forecast(sequence: number, minutes: number, region = "turkiye"): Forecast {
  return {
    $schema: "quakecast.forecast/1",
    id: `${region}-${sequence}`,
    region,
    issued_at: time(minutes),
    cause: "added",
    event_id: null,
    input_sequence: sequence,
    model: "m",
    magnitude_of_completeness: 4.5,
    events_in_window: 1,
    last_event_at: null,
    reissue_at: time(minutes + 60),
    wait: { median_hours: 1, quantiles_hours: {}, probability_within: {}, hazard_per_day: 1 },
    magnitude: { median: 5, quantiles: {}, probability_at_least: {} },
  };
}

function alert(revision: number, minutes: number, type: Alert["alert_type"]): Alert {
  return {
    $schema: "quakecast.alert/1",
    id: "a",
    revision,
    alert_type: type,
    rule: "r",
    kind: "magnitude",
    region: "turkiye",
    issued_at: time(minutes),
    expires_at: time(minutes + 600),
    active: type !== "retraction",
    headline: "large",
    reason: "because",
    value: null,
    events: [],
    forecast: null,
  };
}

function magnitudes(world: World): (number | null)[] {
  return world.catalogue.knownAt(world.now, START - 1).map((quake) => quake.magnitude);
}

test("an event is shown as it was known at the chosen moment", () => {
  const world = new World();
  world.apply(change("added", 10, event("e", 1, 6.2)));
  world.apply(change("updated", 20, event("e", 1, 5.1)));
  world.apply(change("deleted", 30, "e"));
  assert.deepEqual(magnitudes(world), []);
  world.lookAt(START + 25 * MINUTE);
  assert.deepEqual(magnitudes(world), [5.1]);
  world.lookAt(START + 15 * MINUTE);
  assert.deepEqual(magnitudes(world), [6.2]);
  world.lookAt(START + 5 * MINUTE);
  assert.deepEqual(magnitudes(world), []);
});

test("an event that moved across a border is in its new region, whichever record arrives first", () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const world = new World();
    const moves = [change("deleted", 20, "e", "turkiye"), change("added", 20, event("e", 1), "syria")];
    world.apply(change("added", 10, event("e", 1), "turkiye"));
    for (const index of order) world.apply(moves[index] as Change);
    assert.equal(world.catalogue.find("e", world.now)?.region, "syria");
  }
});

test("a repeated record changes nothing", () => {
  const world = new World();
  const records = [change("added", 10, event("e", 1)), forecast(1, 10), alert(0, 10, "initial"), alert(1, 20, "retraction")];
  for (const record of [...records, ...records]) world.apply(record);
  assert.equal(world.catalogue.find("e", world.now)?.versions, 1);
  assert.equal(world.forecastsSince("turkiye", 0).length, 1);
  assert.deepEqual(
    world.alerts().map((revisions) => revisions.length),
    [2],
  );
});

test("alerts of the past have the revisions of that time", () => {
  const world = new World();
  world.apply(alert(0, 10, "initial"));
  world.apply(alert(1, 60, "retraction"));
  world.lookAt(START + 30 * MINUTE);
  assert.deepEqual(
    world.alerts().map((revisions) => revisions.at(-1)?.alert_type),
    ["initial"],
  );
  world.lookAt(START + 5 * MINUTE);
  assert.deepEqual(world.alerts(), []);
});

test("forecasts that arrive out of order are sorted by their issue time", () => {
  const world = new World();
  for (const sequence of [3, 1, 2]) world.apply(forecast(sequence, sequence));
  assert.deepEqual(
    world.forecastsSince("turkiye", 0).map(({ value }) => value.input_sequence),
    [1, 2, 3],
  );
  assert.equal(world.forecast("turkiye")?.input_sequence, 3);
});

test("days of records need bounded memory and still reach back to the beginning", () => {
  const world = new World();
  for (let minute = 0; minute < 20_000; minute += 1) {
    world.apply(change("added", minute, event(`e${minute}`, minute)));
    world.apply(forecast(minute, minute));
  }
  assert.ok(world.catalogue.size <= 6000);
  assert.ok(world.forecastsSince("turkiye", 0).length <= 240);
  assert.equal(world.forecastsSince("turkiye", 0)[0]?.value.input_sequence, 0);
  assert.equal(world.forecast("turkiye")?.input_sequence, 19_999);
});

test("thinning keeps all of the newer half", () => {
  const series = new Series<number>(10);
  for (let at = 1; at <= 11; at += 1) series.add(at, 0, at);
  assert.deepEqual(
    series.between(0, 100).map(({ value }) => value),
    [1, 3, 5, 6, 7, 8, 9, 10, 11],
  );
});

test("the page follows the newest moment again once it is reached", () => {
  const world = new World();
  world.apply(forecast(1, 10));
  world.lookAt(START + 10 * MINUTE);
  assert.equal(world.isPast, false);
});

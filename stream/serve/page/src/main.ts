// Starts the page: loads the current state, then follows the stream.
import { EventStream, type Message } from "./event_stream";
import { Page } from "./page";
import type { Alert, CameSince, Explanation, Forecast, KnownEvent, Outcome, Region, Status, TopicRecord } from "./records";
import type { GriddedForecast } from "./gridded";
import type { Outlook } from "./outlook";
import { ServerError, Server } from "./server";
import { SignIn } from "./sign_in";
import { throttled } from "./throttle";
import { HOUR } from "./words";
import { World } from "./world";

const TOPICS = "events,forecasts,outlooks,alerts,models";
const HISTORY_HOURS = 48;
const STATUS_MILLISECONDS = 5_000;
const SCORES_MILLISECONDS = 60_000;
const DETAILS_MILLISECONDS = 10_000;
const EARLIER_MILLISECONDS = 60_000;

const world = new World();
const server = new Server(new SignIn().ask);
const loadDetailsLater = throttled(() => void loadRegionDetails(), DETAILS_MILLISECONDS);
const publish = throttled(() => world.publish(), 100);
const page = new Page(
  world,
  loadEarlier,
  () => void loadRegionDetails(),
  (alert) => void loadRevisions(alert),
  async (region) => (await server.json<{ map: GriddedForecast | null }>(`/v1/maps/${encodeURIComponent(region)}`)).map,
);

/** Applies the records of all messages to the world; a record that cannot be read is skipped. */
function applyMessages(messages: readonly Message[]): void {
  for (const { data } of messages) {
    try {
      world.apply(JSON.parse(data) as TopicRecord);
    } catch (error) {
      console.warn("skipped a record that cannot be read", error);
    }
  }
  publish();
}

async function start(): Promise<void> {
  const status = await retryUntilAnswered(() => server.json<Status>("/v1/status"));
  page.showStatus(status);
  const since = status.stream_time === null ? "beginning" : new Date(Date.parse(status.stream_time) - HISTORY_HOURS * HOUR).toISOString();
  const [regions, newest, larger, alerts, outlooks] = await retryUntilAnswered(() =>
    Promise.all([
      server.json<{ regions: Region[] }>("/v1/regions"),
      orDefault(server.json<{ events: KnownEvent[] }>("/v1/events?limit=1000"), { events: [] }),
      orDefault(server.json<{ events: KnownEvent[] }>("/v1/events?limit=1000&min_magnitude=4.5"), { events: [] }),
      orDefault(server.json<{ alerts: Alert[] }>("/v1/alerts?limit=200"), { alerts: [] }),
      orDefault(server.json<{ outlooks: Outlook[] }>("/v1/outlooks"), { outlooks: [] }),
    ]),
  );
  world.setRegions(regions.regions);
  world.seedEvents([...newest.events, ...larger.events]);
  for (const record of [...alerts.alerts, ...outlooks.outlooks]) world.apply(record);
  page.setRegions();
  world.publish();
  choose();
  follow(since);
  repeat(pollStatus, STATUS_MILLISECONDS);
  repeat(pollScores, SCORES_MILLISECONDS);
}

function choose(): void {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (world.region(wanted) !== null) page.select(wanted);
  else page.selectFirst();
}

function follow(since: string): void {
  const path = (): string => `/v1/stream?topics=${TOPICS}&from=${encodeURIComponent(since)}`;
  const stream = new EventStream(server, path, applyMessages, (state, trouble) => {
    page.showConnection(state, trouble);
    if (state === "open") setTimeout(() => page.tape.listen(), 2_000); // a screen reader need not announce the alerts that were there before
  });
  void stream.follow();
}

/** Loads the hours before the earliest record that the page has. */
async function loadEarlier(): Promise<void> {
  if (!Number.isFinite(world.earliest)) return;
  const until = world.earliest;
  const since = new Date(until - HISTORY_HOURS * HOUR).toISOString();
  await new Promise<void>((done) => {
    const end = (): void => {
      stream.stop();
      clearTimeout(limit);
      done();
    };
    const applyUntil = (messages: readonly Message[]): void => {
      applyMessages(messages);
      const last = messages.at(-1);
      if (last !== undefined && timeOf(JSON.parse(last.data) as Partial<Forecast> & { observed_at?: string }) > until) end();
    };
    const stream = new EventStream(
      server,
      () => `/v1/stream?topics=events,forecasts,alerts&from=${encodeURIComponent(since)}`,
      applyUntil,
      () => undefined,
    );
    const limit = setTimeout(end, EARLIER_MILLISECONDS);
    void stream.follow();
  });
}

function timeOf(record: { issued_at?: string; observed_at?: string }): number {
  return Date.parse(record.issued_at ?? record.observed_at ?? "");
}

async function pollStatus(): Promise<void> {
  page.showStatus(await server.json<Status>("/v1/status"));
}

interface Scores {
  pit?: { edges: number[]; wait: number[]; magnitude: number[] };
}

async function pollScores(): Promise<void> {
  const { pit } = await server.json<Scores>("/v1/scores");
  if (pit === undefined) page.showPits(null, null);
  else page.showPits({ edges: pit.edges, counts: pit.wait }, { edges: pit.edges, counts: pit.magnitude });
}

let loadingRegion = "";

/** Loads what only the server has for the selected region: explanation, outcomes, counts since the outlook. */
async function loadRegionDetails(): Promise<void> {
  const region = page.region;
  if (region === null) return;
  loadingRegion = region;
  const path = `/v1/regions/${encodeURIComponent(region)}`;
  const load = async <Body>(request: Promise<Body>, show: (body: Body | string) => void): Promise<void> => {
    const body = await orMessage(request);
    if (loadingRegion === region) show(body);
  };
  await Promise.all([
    world.forecast(region) === null
      ? page.panel.showWhy("There is no forecast to explain yet.")
      : load(server.json<Explanation>(`${path}/explanation`), (body) => page.panel.showWhy(body)),
    load(server.json<{ outcomes: Outcome[] }>(`${path}/outcomes?limit=24`), (body) =>
      page.panel.showOutcomes(typeof body === "string" ? body : body.outcomes),
    ),
    load(server.json<{ outlook: Outlook | null; came_since?: CameSince[] }>(path), (body) => {
      const outlook = typeof body === "string" ? null : body.outlook;
      page.panel.showCame(typeof body === "string" || outlook === null ? null : { outlook: outlook.id, since: body.came_since ?? [] });
    }),
  ]);
}

async function loadRevisions(alert: string): Promise<void> {
  const body = await orMessage(server.json<{ revisions: Alert[] }>(`/v1/alerts/${encodeURIComponent(alert)}`));
  if (typeof body === "string") return; // keep the revisions that are here
  for (const revision of body.revisions) world.apply(revision);
  publish();
}

/** Returns the body, or a message for people if the request fails. */
async function orMessage<Body>(request: Promise<Body>): Promise<Body | string> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof ServerError)
      return `This is not available now: ${error.message}${error.remedy === "" ? "" : ` (${error.remedy})`}.`;
    return "The server cannot be reached.";
  }
}

world.onChange((changed) => {
  if (changed.has("forecasts")) loadDetailsLater();
});

/** Returns a default if the server does not have the path (404), so that the rest can be shown; other errors are thrown. */
async function orDefault<Body>(request: Promise<Body>, fallback: Body): Promise<Body> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof ServerError && error.status === 404) return fallback;
    throw error;
  }
}

/** Repeats work with pauses. Errors are ignored: the next turn tries again, and the stream reports a lost connection. */
function repeat(work: () => Promise<void>, milliseconds: number): void {
  const turn = (): void => {
    void work()
      .catch(() => undefined)
      .finally(() => setTimeout(turn, milliseconds));
  };
  turn();
}

/** Retries work with growing pauses until the server answers. */
async function retryUntilAnswered<Value>(work: () => Promise<Value>): Promise<Value> {
  for (let pause = 1_000; ; pause = Math.min(2 * pause, 30_000)) {
    try {
      return await work();
    } catch (error) {
      page.showConnection("lost", error instanceof Error ? error.message : String(error));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

void start();

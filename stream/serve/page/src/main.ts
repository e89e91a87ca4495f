// Puts the page together: asks for what is known, then follows the stream.
import { EventStream, type Message } from "./event_stream";
import { Page } from "./page";
import type { Alert, CameSince, Explanation, Forecast, KnownEvent, Outcome, Region, Status, TopicRecord } from "./records";
import type { Outlook } from "./outlook";
import { Refused, Server } from "./server";
import { SignIn } from "./sign_in";
import { throttled } from "./throttle";
import { HOUR } from "./words";
import { World } from "./world";

const TOPICS = "events,forecasts,outlooks,alerts,models";
const HISTORY_HOURS = 48;
const STATUS_MILLISECONDS = 5_000;
const SCORES_MILLISECONDS = 60_000;
const ASKED_MILLISECONDS = 10_000;
const FURTHER_MILLISECONDS = 60_000;

const world = new World();
const server = new Server(new SignIn().ask);
const askLater = throttled(() => void askAboutRegion(), ASKED_MILLISECONDS);
const publish = throttled(() => world.publish(), 100);
const page = new Page(
  world,
  goFurtherBack,
  () => void askAboutRegion(),
  (alert) => void askForRevisions(alert),
);

/** Everything from the messages goes into the world; what cannot be read is left out, and the rest goes on. */
function take(messages: readonly Message[]): void {
  for (const { data } of messages) {
    try {
      world.take(JSON.parse(data) as TopicRecord);
    } catch (error) {
      console.warn("a record that cannot be read is left out", error);
    }
  }
  publish();
}

async function start(): Promise<void> {
  const status = await patiently(() => server.json<Status>("/v1/status"));
  page.showStatus(status);
  const since = status.stream_time === null ? "beginning" : new Date(Date.parse(status.stream_time) - HISTORY_HOURS * HOUR).toISOString();
  const [regions, newest, larger, alerts, outlooks] = await patiently(() =>
    Promise.all([
      server.json<{ regions: Region[] }>("/v1/regions"),
      orNothing(server.json<{ events: KnownEvent[] }>("/v1/events?limit=1000"), { events: [] }),
      orNothing(server.json<{ events: KnownEvent[] }>("/v1/events?limit=1000&min_magnitude=4.5"), { events: [] }),
      orNothing(server.json<{ alerts: Alert[] }>("/v1/alerts?limit=200"), { alerts: [] }),
      orNothing(server.json<{ outlooks: Outlook[] }>("/v1/outlooks"), { outlooks: [] }),
    ]),
  );
  world.setRegions(regions.regions);
  world.seedEvents([...newest.events, ...larger.events]);
  for (const record of [...alerts.alerts, ...outlooks.outlooks]) world.take(record);
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
  const stream = new EventStream(server, path, take, (state, trouble) => {
    page.showConnection(state, trouble);
    if (state === "open") setTimeout(() => page.tape.listen(), 2_000); // what was there before need not be read out
  });
  void stream.follow();
}

/** Fetches the span before the one that is here, and stops where it meets it. */
async function goFurtherBack(): Promise<void> {
  if (!Number.isFinite(world.earliest)) return;
  const until = world.earliest;
  const since = new Date(until - HISTORY_HOURS * HOUR).toISOString();
  await new Promise<void>((done) => {
    const end = (): void => {
      stream.stop();
      clearTimeout(limit);
      done();
    };
    const takeUntil = (messages: readonly Message[]): void => {
      take(messages);
      const last = messages.at(-1);
      if (last !== undefined && timeOf(JSON.parse(last.data) as Partial<Forecast> & { observed_at?: string }) > until) end();
    };
    const stream = new EventStream(
      server,
      () => `/v1/stream?topics=events,forecasts,alerts&from=${encodeURIComponent(since)}`,
      takeUntil,
      () => undefined,
    );
    const limit = setTimeout(end, FURTHER_MILLISECONDS);
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

let askedFor = "";

/** What only the server knows of the region that is looked at. */
async function askAboutRegion(): Promise<void> {
  const region = page.region;
  if (region === null) return;
  askedFor = region;
  const path = `/v1/regions/${encodeURIComponent(region)}`;
  const tell = async <Body>(asked: Promise<Body>, show: (body: Body | string) => void): Promise<void> => {
    const body = await orWords(asked);
    if (askedFor === region) show(body);
  };
  await Promise.all([
    world.forecast(region) === null
      ? page.panel.showWhy("There is no forecast to explain yet.")
      : tell(server.json<Explanation>(`${path}/explanation`), (said) => page.panel.showWhy(said)),
    tell(server.json<{ outcomes: Outcome[] }>(`${path}/outcomes?limit=24`), (said) =>
      page.panel.showOutcomes(typeof said === "string" ? said : said.outcomes),
    ),
    tell(server.json<{ outlook: Outlook | null; came_since?: CameSince[] }>(path), (said) => {
      const outlook = typeof said === "string" ? null : said.outlook;
      page.panel.showCame(typeof said === "string" || outlook === null ? null : { outlook: outlook.id, since: said.came_since ?? [] });
    }),
  ]);
}

async function askForRevisions(alert: string): Promise<void> {
  const body = await orWords(server.json<{ revisions: Alert[] }>(`/v1/alerts/${encodeURIComponent(alert)}`));
  if (typeof body === "string") return; // those that are here stay
  for (const revision of body.revisions) world.take(revision);
  publish();
}

async function orWords<Body>(asked: Promise<Body>): Promise<Body | string> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Refused) return `Not to be had now: ${error.message}${error.remedy === "" ? "" : ` (${error.remedy})`}.`;
    return "The server cannot be reached.";
  }
}

world.onChange((changed) => {
  if (changed.has("forecasts")) askLater();
});

/** What the server does not have is left out, so that the rest can be shown; a server that cannot be reached is asked again. */
async function orNothing<Body>(asked: Promise<Body>, nothing: Body): Promise<Body> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return nothing;
    throw error;
  }
}

/** Again after each pause; a failure is left to the next turn, the stream says that the server is gone. */
function repeat(work: () => Promise<void>, milliseconds: number): void {
  const turn = (): void => {
    void work()
      .catch(() => undefined)
      .finally(() => setTimeout(turn, milliseconds));
  };
  turn();
}

/** Tries until the server answers. */
async function patiently<Value>(work: () => Promise<Value>): Promise<Value> {
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

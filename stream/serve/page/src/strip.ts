// The strip on top: is the feed fresh, is anything behind, how quick is it, which model speaks.
import { html, say } from "./element";
import type { Connection } from "./event_stream";
import type { Status } from "./records";
import { count, duration, latency, moment } from "./words";

const LAG_TO_MIND = 500;

type Standing = "good" | "mind" | "bad" | "unknown";

class Gauge {
  private readonly value = html("dd");
  readonly element: HTMLElement;

  constructor(label: string, hint: string) {
    this.element = html("div", { class: "gauge", title: hint }, html("dt", {}, label), this.value);
  }

  show(text: string, standing: Standing): void {
    say(this.value, text);
    this.element.dataset.standing = standing;
  }
}

export class Strip {
  private readonly clock = new Gauge("Stream time", "How far the stream has come, by the feed's own clock");
  private readonly feed = new Gauge("Feed heard", "When the feed was last heard");
  private readonly lag = new Gauge("Behind", "Records in the log that are not forecast yet");
  private readonly speed = new Gauge(
    "Record to forecast",
    "From a record in the log to its forecast: half of them are quicker, and 99 in 100",
  );
  private readonly origin = new Gauge("Event to log", "From an earthquake to its record in the log: half of them are quicker");
  private readonly model = new Gauge("Model", "Which model speaks, and since when");
  private readonly refused = new Gauge("Odd input", "Input that was not as it should be; kept with its reason");
  private readonly page = new Gauge("This page", "Whether this page is connected");
  readonly element = html(
    "dl",
    { class: "strip", tabindex: 0, "aria-label": "State of the stream" },
    ...[this.page, this.clock, this.feed, this.lag, this.speed, this.origin, this.model, this.refused].map((gauge) => gauge.element),
  );

  showStatus(status: Status): void {
    const { feed, latency_seconds: seconds, lag_records: lag, model } = status;
    const heard = feed.heard_seconds_ago;
    this.feed.show(
      heard === null ? (status.replay ? "a replay" : "never") : `${duration(heard)} ago`,
      feed.stale && !status.replay ? "bad" : heard === null ? "unknown" : "good",
    );
    this.lag.show(lag === null ? "–" : count(lag, "record", "records"), lag === null ? "unknown" : lag > LAG_TO_MIND ? "mind" : "good");
    const { log_to_forecast_median: half, log_to_forecast_p99: most, origin_to_log_median: known } = seconds;
    this.speed.show(`${latency(half)} (99 %: ${latency(most)})`, half === null ? "unknown" : "good");
    this.origin.show(latency(known), known === null ? "unknown" : "good");
    this.model.show(model?.name ?? "–", model === null ? "unknown" : "good");
    this.model.element.title = model === null ? "Which model speaks" : `In force since ${moment(model.since)}`;
    const letters = Object.entries(status.dead_letters);
    this.refused.show(
      count(
        letters.reduce((sum, [, many]) => sum + many, 0),
        "item",
        "items",
      ),
      "good",
    );
    this.refused.element.title = letters.map(([reason, many]) => `${reason}: ${many}`).join("\n") || "Nothing so far";
  }

  showClock(time: number): void {
    this.clock.show(time === 0 ? "–" : moment(time), time === 0 ? "unknown" : "good");
  }

  showConnection(state: Connection): void {
    const words = { connecting: "connecting …", open: "live", lost: "connection lost, trying again" };
    this.page.show(words[state], state === "open" ? "good" : state === "lost" ? "bad" : "unknown");
  }
}

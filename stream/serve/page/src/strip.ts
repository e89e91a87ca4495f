// The status strip at the top: age of the feed, lag, latencies, the model in force.
import { html, setText } from "./element";
import type { Connection } from "./event_stream";
import { NOT_LIVE } from "./liveness";
import type { Status, WhyNotLive } from "./records";
import { count, duration, latency, moment } from "./words";

const HIGH_LAG = 500;

type Standing = "good" | "mind" | "bad" | "unknown";

class Gauge {
  private readonly value = html("dd");
  readonly element: HTMLElement;

  constructor(label: string, hint: string) {
    this.element = html("div", { class: "gauge", title: hint }, html("dt", {}, label), this.value);
  }

  show(text: string, standing: Standing): void {
    setText(this.value, text);
    this.element.dataset.standing = standing;
  }
}

export class Strip {
  private readonly clock = new Gauge("Stream time", "The latest time of the feed that has been processed");
  private readonly feed = new Gauge("Feed updated", "When the feed last sent news");
  private readonly lag = new Gauge("Lag", "Records in the log that have no forecast yet");
  private readonly speed = new Gauge(
    "Record to forecast",
    "Time from a record in the log to its forecast: the median and the 99th percentile",
  );
  private readonly origin = new Gauge("Event to log", "Time from an earthquake to its record in the log: the median");
  private readonly model = new Gauge("Model", "The model in force, and since when");
  private readonly rejected = new Gauge("Rejected input", "Input that could not be used, or only in part; it is kept with the reason");
  private readonly page = new Gauge("This page", "Whether this page is connected");
  readonly element = html(
    "dl",
    { class: "strip", tabindex: 0, "aria-label": "State of the stream" },
    ...[this.page, this.clock, this.feed, this.lag, this.speed, this.origin, this.model, this.rejected].map((gauge) => gauge.element),
  );

  showStatus(status: Status): void {
    const { feed, latency_seconds: seconds, lag_records: lag, model } = status;
    const heard = feed.heard_seconds_ago;
    this.feed.show(
      status.why_not_live === "replay" ? "a replay" : heard === null ? "not since the start" : `${duration(heard)} ago`,
      status.why_not_live === "replay" ? "unknown" : feed.stale ? "bad" : "good",
    );
    this.lag.show(lag === null ? "–" : count(lag, "record", "records"), lag === null ? "unknown" : lag > HIGH_LAG ? "mind" : "good");
    const { log_to_forecast_median: half, log_to_forecast_p99: most, origin_to_log_median: known } = seconds;
    this.speed.show(half === null ? "–" : `${latency(half)} (99 %: ${latency(most)})`, half === null ? "unknown" : "good");
    this.origin.show(latency(known), known === null ? "unknown" : "good");
    this.model.show(model?.name ?? "–", model === null ? "unknown" : "good");
    this.model.element.title = model === null ? "The model in force" : `In force since ${moment(model.since)}`;
    const letters = Object.entries(status.dead_letters);
    this.rejected.show(
      count(
        letters.reduce((sum, [, many]) => sum + many, 0),
        "item",
        "items",
      ),
      "good",
    );
    this.rejected.element.title = letters.map(([reason, many]) => `${reason}: ${many}`).join("\n") || "None so far";
  }

  showClock(time: number): void {
    this.clock.show(time === 0 ? "–" : moment(time), time === 0 ? "unknown" : "good");
  }

  showConnection(state: Connection, why: WhyNotLive | null, isStale: boolean): void {
    const open = why !== null ? `connected, ${NOT_LIVE[why].word}` : isStale ? "connected" : "live";
    const words = { connecting: "connecting …", open, lost: "connection lost, reconnecting" };
    this.page.show(words[state], state === "lost" ? "bad" : state === "connecting" ? "unknown" : why === null ? "good" : "mind");
  }
}

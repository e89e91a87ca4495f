// Banners for what nobody must overlook: a stale feed, that nothing is live, a lost connection, or that the page shows the past.
import { html, replace } from "./element";
import { NOT_LIVE } from "./liveness";
import type { Status, WhyNotLive } from "./records";
import { duration, moment, readable } from "./words";

export interface Situation {
  status: Status | null;
  /** Why what the page shows is not live; null when it is. */
  whyNotLive: WhyNotLive | null;
  /** The moment that the page shows, if it is not the newest. */
  past: number | null;
  /** Why the page is not connected; empty if it is. */
  cutOff: string;
}

interface Banner {
  kind: "stale" | "not-live" | "cut-off" | "past";
  title: string;
  text: string;
}

/** Returns the banners for a situation, the most serious first. */
export function bannersFor(situation: Situation): Banner[] {
  const banners: Banner[] = [];
  const feed = situation.status?.feed;
  if (situation.cutOff !== "") {
    banners.push({ kind: "cut-off", title: "Not connected", text: `This page is no longer updated. ${situation.cutOff}` });
  }
  const why = situation.whyNotLive;
  if (feed?.stale && why !== "replay") {
    const heard = feed.heard_seconds_ago;
    const since = heard === null ? "The feed has not answered yet." : `The feed last sent news ${duration(heard)} ago.`;
    const trouble = feed.trouble ? ` (${readable(feed.trouble)})` : "";
    banners.push({
      kind: "stale",
      title: "The feed is stale",
      text: `${since}${trouble} Later events are missing, and the forecasts do not include them.`,
    });
  }
  if (why !== null) {
    const { title, text } = NOT_LIVE[why];
    banners.push({ kind: "not-live", title, text: feed?.time ? `${text} The time of the feed is ${moment(feed.time)}.` : text });
  }
  if (situation.past !== null) {
    banners.push({
      kind: "past",
      title: "The past",
      text: `This page shows ${moment(situation.past)}, as it was known then. Press “Newest” below the map to return.`,
    });
  }
  return banners;
}

export class Banners {
  readonly element = html("div", { class: "banners", role: "alert" });
  private shown = "";

  show(situation: Situation): void {
    const banners = bannersFor(situation);
    const key = JSON.stringify(banners.map(({ kind, title }) => [kind, title]));
    if (key === this.shown) {
      // Only numbers have changed: update the text in place, so that a screen reader does not repeat it.
      for (const [index, { text }] of banners.entries()) {
        const words = this.element.children[index]?.querySelector(".words");
        if (words && words.textContent !== text) words.textContent = text;
      }
      return;
    }
    this.shown = key;
    replace(
      this.element,
      ...banners.map(({ kind, title, text }) =>
        html("div", { class: `banner ${kind}` }, html("strong", {}, title), " ", html("span", { class: "words" }, text)),
      ),
    );
  }
}

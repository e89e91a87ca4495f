// Banners for what nobody must overlook: a stale feed, a replay, a lost connection, or that the page shows the past.
import { html, replace } from "./element";
import type { Status } from "./records";
import { DAY, duration, moment } from "./words";

export interface Situation {
  status: Status | null;
  /** Whether the newest records are marked as not live. */
  test: boolean;
  /** The moment that the page shows, if it is not the newest. */
  past: number | null;
  /** Why the page is not connected; empty if it is. */
  cutOff: string;
  /** Wall clock, milliseconds since 1970. */
  now: number;
}

interface Banner {
  kind: "stale" | "replay" | "cut-off" | "past";
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
  const replay = situation.test || (situation.status?.replay ?? false);
  if (feed?.stale && !replay) {
    const heard = feed.heard_seconds_ago;
    const since = heard === null ? "The feed has not answered yet." : `The feed last sent news ${duration(heard)} ago.`;
    const trouble = feed.trouble ? ` (${feed.trouble})` : "";
    banners.push({
      kind: "stale",
      title: "The feed is stale",
      text: `${since}${trouble} Later events are missing, and the forecasts do not include them.`,
    });
  }
  if (replay) {
    banners.push({
      kind: "replay",
      title: "Replay, not live",
      text: "These records are marked as a test: recorded or simulated data are played back. Nothing shown here is happening now.",
    });
  } else if (feed?.time && Math.abs(situation.now - Date.parse(feed.time)) > DAY && !feed.stale) {
    banners.push({
      kind: "replay",
      title: "Another time",
      text: `The time of the feed is ${moment(feed.time)}: these data are played back. Nothing shown here is happening now.`,
    });
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

// What must not be overlooked: the feed is stale, the data are a replay, the page is cut off, or the past is looked at.
import { html, replace } from "./element";
import type { Status } from "./records";
import { DAY, duration, moment } from "./words";

export interface Situation {
  status: Status | null;
  /** Whether the newest records are marked as not live. */
  test: boolean;
  /** The moment that is looked at, if it is not the newest. */
  past: number | null;
  /** Why the page is cut off; empty when it is not. */
  cutOff: string;
  /** Wall clock, milliseconds since 1970. */
  now: number;
}

interface Banner {
  kind: "stale" | "replay" | "cut-off" | "past";
  title: string;
  text: string;
}

/** Pure: what there is to say, the gravest first. */
export function bannersFor(situation: Situation): Banner[] {
  const found: Banner[] = [];
  const feed = situation.status?.feed;
  if (situation.cutOff !== "") {
    found.push({ kind: "cut-off", title: "Not connected", text: `What you see does not move on. ${situation.cutOff}` });
  }
  const replay = situation.test || (situation.status?.replay ?? false);
  if (feed?.stale && !replay) {
    const heard = feed.heard_seconds_ago;
    const since = heard === null ? "The feed has not been heard yet." : `The feed was last heard ${duration(heard)} ago.`;
    const trouble = feed.trouble ? ` (${feed.trouble})` : "";
    found.push({
      kind: "stale",
      title: "The feed is stale",
      text: `${since}${trouble} Events since then are missing, and forecasts do not know of them.`,
    });
  }
  if (replay) {
    found.push({
      kind: "replay",
      title: "Replay, not live",
      text: "These records are marked as a test: recorded or simulated data, played back. Nothing here is happening now.",
    });
  } else if (feed?.time && Math.abs(situation.now - Date.parse(feed.time)) > DAY && !feed.stale) {
    found.push({
      kind: "replay",
      title: "Another time",
      text: `The feed's own clock says ${moment(feed.time)}: these data are played back. Nothing here is happening now.`,
    });
  }
  if (situation.past !== null) {
    found.push({
      kind: "past",
      title: "The past",
      text: `You look at ${moment(situation.past)}, as it was known then. Press “Newest” below the map to return.`,
    });
  }
  return found;
}

export class Banners {
  readonly element = html("div", { class: "banners", role: "alert" });
  private said = "";

  show(situation: Situation): void {
    const banners = bannersFor(situation);
    const said = JSON.stringify(banners.map(({ kind, title }) => [kind, title]));
    if (said === this.said) {
      // Only the numbers moved on: change the words quietly, a screen reader need not repeat them.
      for (const [index, { text }] of banners.entries()) {
        const words = this.element.children[index]?.querySelector(".words");
        if (words && words.textContent !== text) words.textContent = text;
      }
      return;
    }
    this.said = said;
    replace(
      this.element,
      ...banners.map(({ kind, title, text }) =>
        html("div", { class: `banner ${kind}` }, html("strong", {}, title), " ", html("span", { class: "words" }, text)),
      ),
    );
  }
}

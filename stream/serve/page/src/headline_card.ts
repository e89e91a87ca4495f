// The card on top of the page in the hours after a large earthquake: what happened, how sure that is, and what may follow.
import type { Quake, Reported } from "./catalogue";
import { html, replace, setText, type Child } from "./element";
import { prospects, revisions } from "./great_event";
import { NOT_LIVE } from "./liveness";
import type { Outlook } from "./outlook";
import type { Forecast, WhyNotLive } from "./records";
import { ago, count, magnitude, moment } from "./words";

const TSUNAMI_CENTRE = "https://www.tsunami.gov/";

/** What the card shows. */
export interface Headline {
  quake: Quake;
  /** The magnitudes that were reported, the first one first. */
  reported: readonly Reported[];
  regionName: string;
  /** Events since then that the region's forecasts count, and from which magnitude on they do. */
  since: { events: number; completeness: number };
  outlook: Outlook | null;
  forecast: Forecast | null;
  whyNotLive: WhyNotLive | null;
  now: number;
}

export class HeadlineCard {
  private readonly title = html("h2", { id: "headline-title" });
  private readonly facts = html("p", { class: "facts" });
  private readonly revisions = html("p", { class: "sentence" });
  private readonly links = html("p", { class: "links" });
  private readonly next = html("ul", { class: "prospects" });
  readonly element = html(
    "section",
    { id: "headline", "aria-labelledby": "headline-title", hidden: true },
    html("div", {}, this.title, this.facts, this.revisions, this.links),
    html("div", {}, html("h3", {}, "What may follow"), this.next),
  );
  /** Identifies what the links show; they are built again only when this changes, so that they keep the focus. */
  private stamp = "";

  constructor(private readonly onSelect: (region: string) => void) {}

  show(headline: Headline | null): void {
    this.element.hidden = headline === null;
    if (headline === null) return;
    const { quake, now, since } = headline;
    setText(this.title, `${magnitude(quake.magnitude)} ${quake.place}`);
    const depth = quake.depth_km === null ? "" : `, ${Math.round(quake.depth_km)} km deep`;
    const followed = ` Since then ${count(since.events, "event", "events")} of M ${since.completeness.toFixed(1)} or more in the region.`;
    setText(this.facts, `${moment(quake.at)}, ${ago(now - quake.at)}${depth}.${followed}${impact(quake)}`);
    setText(this.revisions, revisions(headline.reported, quake.status));
    const lines = prospects(quake, headline.outlook, headline.forecast, now);
    if (lines.join() !== [...this.next.children].map((line) => line.textContent).join())
      replace(this.next, ...lines.map((line) => html("li", {}, line)));
    this.showLinks(headline);
  }

  private showLinks({ quake, regionName, whyNotLive }: Headline): void {
    const stamp = JSON.stringify([quake.region, regionName, quake.url, quake.tsunami, whyNotLive]);
    if (stamp === this.stamp) return;
    this.stamp = stamp;
    const region = html("button", { type: "button", class: "link" }, `Forecast and outlook of ${regionName}`);
    region.addEventListener("click", () => this.onSelect(quake.region));
    const parts: Child[] = [
      whyNotLive !== null && html("span", { class: "badge test" }, NOT_LIVE[whyNotLive].word),
      region,
      isWebAddress(quake.url) && html("a", { href: quake.url, rel: "noreferrer" }, "The source’s page of this earthquake"),
      quake.tsunami && html("a", { class: "tsunami", href: TSUNAMI_CENTRE, rel: "noreferrer" }, "Tsunami bulletins: tsunami.gov"),
    ];
    replace(this.links, ...parts);
  }
}

/** Returns what the source says of the effects, as a sentence; empty if it says nothing. */
function impact({ alert, mmi, felt }: Quake): string {
  const known = [
    alert && `estimated losses (PAGER) ${alert}`,
    mmi && `largest estimated intensity ${mmi.toFixed(1)}`,
    felt && `felt: ${count(felt, "report", "reports")}`,
  ].filter(Boolean);
  return known.length === 0 ? "" : ` The source says: ${known.join("; ")}.`;
}

/** Whether a text from outside may become a link: an address of the web, no script. */
export function isWebAddress(text: string | null | undefined): text is string {
  return /^https?:\/\/[^/]/i.test(text ?? "");
}

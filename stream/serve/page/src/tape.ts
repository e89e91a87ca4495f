// The list of alerts with their revisions. A retracted alert is struck through and labelled as retracted.
import { html, replace, setText } from "./element";
import type { Alert } from "./records";
import { moment, readable, shortMoment } from "./words";

const MOST_SHOWN = 100;

export type Standing = "active" | "over" | "retracted";

export function standing(revisions: readonly Alert[], now: number): Standing {
  const last = revisions.at(-1) as Alert;
  if (last.alert_type === "retraction") return "retracted";
  return last.active && Date.parse(last.expires_at) > now ? "active" : "over";
}

const STANDINGS: Record<Standing, string> = { active: "Active", over: "Ended", retracted: "Retracted" };

interface Entry {
  element: HTMLLIElement;
  /** Identifies the state that the element shows; it is built again only when this changes. */
  stamp: string;
}

export class Tape {
  private readonly list = html("ol", { class: "alerts" });
  private readonly none = html("p", { class: "none" }, "There are no alerts in the loaded history.");
  private readonly spoken = html("p", { class: "spoken", role: "status", "aria-live": "polite" });
  readonly element = html("div", { class: "tape" }, this.spoken, this.none, this.list);
  private readonly entries = new Map<string, Entry>();
  private readonly announced = new Set<string>();
  private quiet = true;

  constructor(
    private readonly nameOf: (region: string | null) => string,
    private readonly onSelect: (region: string) => void,
    /** Called when an alert is opened some of whose revisions are missing. */
    private readonly onMissing: (alert: string) => void,
  ) {}

  /** From now on, screen readers announce new revisions. */
  listen(): void {
    this.quiet = false;
  }

  show(alerts: readonly (readonly Alert[])[], now: number): void {
    const shown = alerts.slice(0, MOST_SHOWN);
    this.none.hidden = shown.length > 0;
    const kept = new Set(shown.map((revisions) => (revisions[0] as Alert).id));
    for (const id of this.entries.keys()) if (!kept.has(id)) this.entries.delete(id);
    const elements = shown.map((revisions) => this.entry(revisions, standing(revisions, now)));
    if (elements.some((element, index) => this.list.children[index] !== element) || elements.length !== this.list.children.length) {
      replace(this.list, ...elements);
    }
    this.announce(shown);
  }

  private entry(revisions: readonly Alert[], state: Standing): HTMLLIElement {
    const last = revisions.at(-1) as Alert;
    const stamp = `${last.revision} ${revisions.length} ${state}`;
    const known = this.entries.get(last.id);
    if (known?.stamp === stamp) return known.element;
    const element = known?.element ?? html("li", { "data-alert": last.id });
    const wasOpen = element.querySelector("details")?.open ?? false;
    element.className = `alert ${state}`;
    replace(element, ...this.contents(revisions, state));
    const details = element.querySelector("details");
    if (details !== null) {
      details.open = wasOpen;
      if (revisions.length <= last.revision) details.addEventListener("toggle", () => this.onMissing(last.id), { once: true });
    }
    this.entries.set(last.id, { element, stamp });
    return element;
  }

  private contents(revisions: readonly Alert[], state: Standing): HTMLElement[] {
    const first = revisions[0] as Alert;
    const last = revisions.at(-1) as Alert;
    const region = last.region;
    const name = this.nameOf(region);
    const place = region === null ? html("span", {}, name) : html("button", { type: "button", class: "link" }, name);
    if (region !== null) place.addEventListener("click", () => this.onSelect(region));
    const about = state === "retracted" ? headlineBeforeRetraction(revisions) : readable(last.headline);
    const headline = html(state === "retracted" ? "s" : "span", { class: "headline" }, about);
    const line = html(
      "p",
      { class: "line" },
      html("span", { class: `badge ${state}` }, STANDINGS[state]),
      last.test && html("span", { class: "badge test" }, "Test"),
      " ",
      headline,
    );
    const words = state === "retracted" ? `Retracted on ${moment(last.issued_at)}: ${readable(last.reason)}` : readable(last.reason);
    const when = html("p", { class: "when" }, place, ` · ${shortMoment(first.issued_at)} UTC`);
    return [line, html("p", { class: "reason" }, words), when, history(revisions)];
  }

  /** Announces new revisions to screen readers, in one sentence. */
  private announce(shown: readonly (readonly Alert[])[]): void {
    const words: string[] = [];
    for (const revisions of shown) {
      const last = revisions.at(-1) as Alert;
      const key = `${last.id}.${last.revision}`;
      if (this.announced.has(key)) continue;
      this.announced.add(key);
      const kind = { initial: "New alert", update: "Alert revised", retraction: "Alert retracted" }[last.alert_type];
      words.push(`${kind}: ${readable(last.headline)}`);
    }
    if (this.announced.size > 10 * MOST_SHOWN) this.dropAnnounced(shown);
    if (!this.quiet && words.length > 0) setText(this.spoken, words.slice(0, 3).join(". "));
  }

  private dropAnnounced(shown: readonly (readonly Alert[])[]): void {
    this.announced.clear();
    for (const revisions of shown) this.announced.add(`${(revisions[0] as Alert).id}.${(revisions.at(-1) as Alert).revision}`);
  }
}

function headlineBeforeRetraction(revisions: readonly Alert[]): string {
  const before = [...revisions].reverse().find((alert) => alert.alert_type !== "retraction");
  return readable((before ?? (revisions.at(-1) as Alert)).headline);
}

function history(revisions: readonly Alert[]): HTMLElement {
  const names = { initial: "Issued", update: "Revised", retraction: "Retracted" };
  const rows = [...revisions]
    .reverse()
    .map((alert) =>
      html(
        "li",
        {},
        html("b", {}, `${names[alert.alert_type]} ${shortMoment(alert.issued_at)}`),
        ` (revision ${alert.revision}) ${readable(alert.headline)}. ${readable(alert.reason)}`,
      ),
    );
  const all = Math.max(revisions.length, (revisions.at(-1) as Alert).revision + 1);
  const summary = html("summary", {}, all === 1 ? "1 revision" : `${all} revisions`);
  return html("details", {}, summary, html("ol", { class: "revisions" }, ...rows));
}

// The alerts with their revisions: the active ones first, those that have ended or were retracted folded below. A retracted alert is struck
// through and labelled as retracted.
import { html, replace, setText } from "./element";
import { NOT_LIVE } from "./liveness";
import type { Alert } from "./records";
import { count, moment, readable, shortMoment } from "./words";

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
  private readonly lists: Record<Standing, HTMLOListElement> = { active: alertList(), over: alertList(), retracted: alertList() };
  private readonly folds = { over: fold(this.lists.over), retracted: fold(this.lists.retracted) };
  private readonly none = html("p", { class: "none" });
  private readonly spoken = html("p", { class: "spoken", role: "status", "aria-live": "polite" });
  private readonly scrolled = html(
    "div",
    { class: "scrolled" },
    this.none,
    this.lists.active,
    this.folds.retracted.element,
    this.folds.over.element,
  );
  readonly element = html("div", { class: "tape" }, this.spoken, this.scrolled);
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
    const grouped = byStanding(alerts, now);
    const shown = Object.values(grouped).flat();
    const kept = new Set(shown.map((revisions) => (revisions[0] as Alert).id));
    for (const id of this.entries.keys()) if (!kept.has(id)) this.entries.delete(id);
    for (const state of ["active", "over", "retracted"] as const) {
      fillList(
        this.lists[state],
        grouped[state].map((revisions) => this.entry(revisions, state)),
      );
    }
    this.none.hidden = grouped.active.length > 0;
    setText(this.none, shown.length > 0 ? "No alert is active." : "There are no alerts in the loaded history.");
    this.folds.over.show(grouped.over.length, "ended");
    this.folds.retracted.show(grouped.retracted.length, "retracted");
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
      last.test && html("span", { class: "badge test" }, last.why_not_live ? `Test: ${NOT_LIVE[last.why_not_live].word}` : "Test"),
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

/** Groups alerts by their standing, at most `MOST_SHOWN` of each; their order stays. */
export function byStanding<Revisions extends readonly Alert[]>(alerts: readonly Revisions[], now: number): Record<Standing, Revisions[]> {
  const grouped: Record<Standing, Revisions[]> = { active: [], over: [], retracted: [] };
  for (const revisions of alerts) {
    const group = grouped[standing(revisions, now)];
    if (group.length < MOST_SHOWN) group.push(revisions);
  }
  return grouped;
}

function alertList(): HTMLOListElement {
  return html("ol", { class: "alerts" });
}

/** Puts the entries into a list; entries that stay where they are keep their focus and selection. */
function fillList(list: HTMLOListElement, entries: readonly HTMLLIElement[]): void {
  if (entries.length === list.children.length && entries.every((entry, index) => list.children[index] === entry)) return;
  replace(list, ...entries);
}

interface Fold {
  element: HTMLDetailsElement;
  show: (many: number, what: string) => void;
}

/** Creates a folded part, with the number of its entries in its heading; it is hidden without entries. */
function fold(list: HTMLOListElement): Fold {
  const summary = html("summary");
  const element = html("details", { class: "fold" }, summary, list);
  const show = (many: number, what: string): void => {
    element.hidden = many === 0;
    setText(summary, `${count(many, "alert", "alerts")} ${what}`);
  };
  return { element, show };
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

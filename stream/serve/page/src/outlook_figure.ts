// The outlook of a region: charts of the numbers expected in a day, a week and a month, and a table that has the year, too; each beside the
// numbers observed so far.
import type { Quake } from "./catalogue";
import { fillTable } from "./chart";
import { html, setText } from "./element";
import { compare, timeOf, type ComparedBin, type Outlook, type Span } from "./outlook";
import { OutlookChart } from "./outlook_chart";
import type { CameSince } from "./records";
import { ago, count, moment, percent, shortMoment } from "./words";

const HEADING = ["within", "at least one", "median", "95 % range", "observed", "compared with the range"];

export class OutlookFigure {
  private readonly chart = new OutlookChart();
  private readonly table = html("table", { class: "outlook" });
  private readonly sentence = html("p", { class: "sentence" });
  private readonly parts = html("div", {}, this.chart.element, html("div", { class: "scroll" }, this.table));
  readonly element = html("section", { class: "figure wide" }, html("h3", {}, "Outlook"), this.sentence, this.parts);

  /**
   * @param counted the counts of the server, which keeps events for longer than the page; null for an outlook of the past.
   */
  show(outlook: Outlook | null, quakes: readonly Quake[], now: number, counted: readonly CameSince[] | null): void {
    this.parts.hidden = outlook === null;
    if (outlook === null) {
      setText(this.sentence, "There is no outlook for this region yet. One is issued each day, and after every large event.");
      return;
    }
    setText(
      this.sentence,
      `${age(outlook, now)} Simulated ${count(outlook.simulations, "continuation", "continuations")}: percentages are of those with at least one event; ` +
        "bars are the range that contains 95 % of them, with the median; dots the events observed so far, which may still become more.",
    );
    const spans = compare(outlook, quakes, now, counted);
    this.chart.show(spans);
    fillTable(
      this.table,
      HEADING,
      spans.flatMap(({ span, bins }) => bins.map((bin) => row(span, bin))),
    );
  }
}

/** Returns when an outlook was issued, and when the next one is due, as sentences. */
export function age(outlook: Outlook, now: number): string {
  const next = timeOf(outlook.nextForecastTime);
  const due = next > now ? `is due on ${shortMoment(next)} UTC, or after a large event` : "is due now";
  return `Issued ${ago(now - Date.parse(outlook.issued_at))} (${moment(outlook.issued_at)}); the next one ${due}.`;
}

function row(span: Span, bin: ComparedBin): (string | HTMLElement)[] {
  return [
    `${span.label}, M ≥ ${bin.magnitude}`,
    percent(bin.probability),
    `${bin.median}`,
    `${bin.p95minimum} – ${bin.p95maximum}`,
    html("span", { class: `came ${bin.standing.replaceAll(" ", "-")}` }, `${bin.observed}`),
    bin.standing,
  ];
}

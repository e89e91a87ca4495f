// A table of the outlook: expected numbers of events in a day, a week, a month and a year, and the numbers observed so far.
import type { Quake } from "./catalogue";
import { fillTable } from "./chart";
import { html, setText } from "./element";
import { countSince, standing, timeOf, type Outlook } from "./outlook";
import type { CameSince } from "./records";
import { count, moment, percent } from "./words";

export class OutlookTable {
  private readonly table = html("table", { class: "outlook" });
  private readonly sentence = html("p", { class: "sentence" });
  readonly element = html(
    "section",
    { class: "figure wide" },
    html("h3", {}, "Outlook"),
    this.sentence,
    html("div", { class: "scroll" }, this.table),
  );

  /**
   * @param counted the counts of the server, which keeps events for longer than the page; null for an outlook of the past.
   */
  show(outlook: Outlook | null, quakes: readonly Quake[], now: number, counted: readonly CameSince[] | null): void {
    this.table.hidden = outlook === null;
    if (outlook === null) {
      setText(this.sentence, "There is no outlook for this region yet. One is issued each day, and after every large event.");
      return;
    }
    setText(
      this.sentence,
      `Issued ${moment(outlook.issued_at)} from ${count(outlook.simulations, "simulated continuation", "simulated continuations")}. ` +
        "The range contains 95 % of them. “Observed” is the number of events so far; it may still grow until the span is over.",
    );
    const rows = outlook.forecast.flatMap((span) => {
      const isOver = timeOf(span.timeEnd) <= now;
      const counts = counted?.find(({ label }) => label === span.label)?.counts;
      return span.bins.map((bin, index) => {
        const observed = counts?.[index] ?? countSince(span, bin.magnitude, quakes, now);
        const cell = html("span", { class: `came ${standing(bin, observed, isOver).replaceAll(" ", "-")}` }, `${observed}`);
        return [
          `${span.label}, M ≥ ${bin.magnitude}`,
          percent(bin.probability),
          `${bin.median}`,
          `${bin.p95minimum} – ${bin.p95maximum}`,
          cell,
          standing(bin, observed, isOver),
        ];
      });
    });
    fillTable(this.table, ["within", "at least one", "median", "95 % range", "observed", "compared with the range"], rows);
  }
}

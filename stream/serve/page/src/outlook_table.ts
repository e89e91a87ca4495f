// How many to expect in a day, a week, a month and a year, and how many came so far.
import type { Quake } from "./catalogue";
import { fillTable } from "./chart";
import { html, say } from "./element";
import { cameSince, standing, timeOf, type Outlook } from "./outlook";
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
   * @param counted what the server, which remembers longer, has counted for this outlook; null for one of the past.
   */
  show(outlook: Outlook | null, quakes: readonly Quake[], now: number, counted: readonly CameSince[] | null): void {
    this.table.hidden = outlook === null;
    if (outlook === null) {
      say(this.sentence, "No outlook for this region yet. One is made each day, and after every large event.");
      return;
    }
    say(
      this.sentence,
      `Issued ${moment(outlook.issued_at)} from ${count(outlook.simulations, "simulated continuation", "simulated continuations")}. ` +
        "The range holds 95 in 100 of them. “Came” counts what is known so far; a span that is not over may still fill.",
    );
    const rows = outlook.forecast.flatMap((span) => {
      const over = timeOf(span.timeEnd) <= now;
      const counts = counted?.find(({ label }) => label === span.label)?.counts;
      return span.bins.map((bin, index) => {
        const came = counts?.[index] ?? cameSince(span, bin.magnitude, quakes, now);
        const cell = html("span", { class: `came ${standing(bin, came, over).replaceAll(" ", "-")}` }, `${came}`);
        return [
          `${span.label}, M ≥ ${bin.magnitude}`,
          percent(bin.probability),
          `${bin.median}`,
          `${bin.p95minimum} – ${bin.p95maximum}`,
          cell,
          standing(bin, came, over),
        ];
      });
    });
    fillTable(this.table, ["within", "at least one", "median", "95 % range", "came", "which is"], rows);
  }
}

// The explanation of a forecast: the share of each past event in the expected rate.
import { fillTable } from "./chart";
import { html, setText, type Child } from "./element";
import type { Explanation } from "./records";
import { magnitude, moment, number, place, share, shortMoment } from "./words";

const MOST = 8;

export class WhyFigure {
  private readonly table = html("table");
  private readonly sentence = html("p", { class: "sentence" });
  readonly element = html(
    "section",
    { class: "figure" },
    html("h3", {}, "Why"),
    this.sentence,
    html("div", { class: "scroll" }, this.table),
  );

  show(explanation: Explanation): void {
    this.table.hidden = false;
    setText(
      this.sentence,
      `At ${moment(explanation.at)}, ${number(explanation.rate_per_day)} events per day are expected. ` +
        "Each past event contributes a share of that rate. Large and recent events, and those in active areas, contribute more.",
    );
    const rows: Child[][] = explanation.events
      .slice(0, MOST)
      .map((event) => [
        html(
          "span",
          { class: "chance" },
          `${magnitude(event.magnitude)}, ${shortMoment(event.time)}`,
          html("small", {}, place(event.latitude, event.longitude)),
        ),
        bar(event.share),
      ]);
    const named = explanation.events.slice(0, MOST).reduce((sum, event) => sum + event.share, 0);
    const rest = Math.max(0, 1 - named - explanation.background_share);
    rows.push(["all other events", bar(rest)], ["the region's background", bar(explanation.background_share)]);
    fillTable(this.table, ["event (UTC)", "share of the rate"], rows);
  }

  /** Shows a message why there is no explanation. */
  showNothing(words: string): void {
    this.table.hidden = true;
    setText(this.sentence, words);
  }
}

function bar(part: number): HTMLElement {
  const filled = html("span", { class: "filled" });
  filled.style.width = `${Math.min(100, 100 * part).toFixed(1)}%`;
  return html("span", { class: "share" }, html("span", { class: "bar", "aria-hidden": "true" }, filled), share(part));
}

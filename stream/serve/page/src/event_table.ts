// A table of the recent events of a region.
import type { Quake } from "./catalogue";
import { fillTable } from "./chart";
import { html } from "./element";
import { count, magnitude, shortMoment } from "./words";

const MOST = 30;

export class EventTable {
  private readonly table = html("table", { class: "events" });
  private readonly sentence = html("p", { class: "sentence" });
  readonly element = html(
    "section",
    { class: "figure wide" },
    html("h3", {}, "Recent events"),
    this.sentence,
    html("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": "Recent events" }, this.table),
  );

  show(quakes: readonly Quake[], days: number, completeness: number): void {
    const complete = quakes.filter((quake) => (quake.magnitude ?? -9) >= completeness).length;
    this.sentence.textContent =
      quakes.length === 0
        ? `No events are known in the last ${count(days, "day", "days")}.`
        : `${count(quakes.length, "event", "events")} in the last ${count(days, "day", "days")}, ${complete} of them of M ${completeness.toFixed(1)} or more, the events that the forecasts are about.` +
          (quakes.length > MOST ? ` The newest ${MOST}:` : "");
    const rows = quakes
      .slice(0, MOST)
      .map((quake) => [
        shortMoment(quake.at),
        magnitude(quake.magnitude),
        quake.place || "–",
        quake.depth_km === null ? "–" : `${Math.round(quake.depth_km)} km`,
        `${quake.status}${quake.versions > 1 ? `, version ${quake.versions}` : ""}`,
      ]);
    this.table.hidden = rows.length === 0;
    fillTable(this.table, ["origin (UTC)", "magnitude", "place", "depth", "status"], rows);
  }
}

// The panel of one region: its forecast, its explanation, its outlook, and how earlier forecasts did.
import type { Coast } from "./coast";
import { html, replace, setText } from "./element";
import { EventTable } from "./event_table";
import { ExceedanceTable, MagnitudeFigure } from "./magnitude_figure";
import { OutcomeFigure } from "./outcome_figure";
import { timeOf } from "./outlook";
import { OutlookFigure } from "./outlook_figure";
import type { CameSince, Explanation, Forecast, Outcome, Region } from "./records";
import { cause, Movement, WaitCurves } from "./wait_figures";
import { WhereFigure } from "./where_figure";
import { WhyFigure } from "./why_figure";
import { DAY, moment, percent } from "./words";
import type { World } from "./world";

const MOVEMENT_DAYS = 3;
const EVENT_DAYS = 7;
const WHERE_DAYS = 30;

/** Numbers of events since an outlook, counted by the server. */
export interface Came {
  outlook: string;
  since: readonly CameSince[];
}

export class RegionPanel {
  private readonly heading = html("h2", { tabindex: -1, id: "region-title" }, "No region selected");
  private readonly lead = html("p", { class: "lead" });
  private readonly facts = html("p", { class: "facts" });
  private readonly wait = new WaitCurves();
  private readonly movement = new Movement();
  private readonly magnitude = new MagnitudeFigure();
  private readonly exceedance = new ExceedanceTable();
  private readonly where: WhereFigure;
  private readonly why = new WhyFigure();
  private readonly outlook = new OutlookFigure();
  private readonly outcomes = new OutcomeFigure();
  private readonly events = new EventTable();
  private readonly figures = html("div", { class: "figures" });
  readonly element = html(
    "section",
    { class: "panel", "aria-labelledby": "region-title" },
    this.heading,
    this.lead,
    this.facts,
    this.figures,
  );

  private came: Came | null = null;

  constructor(coast: Coast) {
    this.where = new WhereFigure(coast);
    const parts = [
      this.wait,
      this.movement,
      this.magnitude,
      this.exceedance,
      this.where,
      this.why,
      this.outlook,
      this.outcomes,
      this.events,
    ];
    this.figures.append(...parts.map((each) => each.element));
    this.figures.hidden = true;
  }

  focus(): void {
    this.heading.focus();
  }

  show(region: Region, world: World): void {
    setText(this.heading, region.name);
    const forecast = world.forecast(region.id);
    this.figures.hidden = forecast === null;
    if (forecast === null) {
      setText(this.lead, "There is no forecast yet: no event of this region is known.");
      replace(this.facts);
      return;
    }
    this.showForecast(region, forecast, world);
  }

  private showForecast(region: Region, forecast: Forecast, world: World): void {
    const { now } = world;
    const within = forecast.wait.probability_within;
    const size = forecast.magnitude_of_completeness.toFixed(1);
    setText(
      this.lead,
      `Another event of M ${size} or more within an hour: ${percent(within["1h"] ?? 0)}; within a day: ${percent(within["1d"] ?? 0)}; within a week: ${percent(within["7d"] ?? 0)}.`,
    );
    setText(
      this.facts,
      `Issued ${moment(forecast.issued_at)} (${cause(forecast)}). It will be reissued by ${moment(forecast.reissue_at)} if no event arrives. Model: ${forecast.model}.`,
    );
    const since = now - MOVEMENT_DAYS * DAY;
    const history = world.forecastsSince(region.id, since);
    const known = world.catalogue.knownAt(now, now - WHERE_DAYS * DAY).filter((quake) => quake.region === region.id);
    const complete = known.filter((quake) => (quake.magnitude ?? -9) >= region.magnitude_of_completeness);
    this.wait.show(forecast, history);
    this.movement.show(
      history,
      complete.filter((quake) => quake.at > since),
      Math.max(since, Math.min(history[0]?.at ?? since, now - DAY / 4)),
      now,
    );
    this.magnitude.show(forecast);
    this.exceedance.show(forecast);
    this.where.show(region, forecast, complete);
    const outlook = world.outlook(region.id);
    const counted = outlook !== null && !world.isPast && this.came?.outlook === outlook.id ? this.came.since : null;
    const start = Math.min(...(outlook?.forecast ?? []).map((span) => timeOf(span.timeStart)), now);
    this.outlook.show(
      outlook,
      known.filter((quake) => quake.at >= start),
      now,
      counted,
    );
    this.events.show(
      known.filter((quake) => quake.at > now - EVENT_DAYS * DAY),
      EVENT_DAYS,
      region.magnitude_of_completeness,
    );
  }

  /** Shows an explanation, or a message why there is none. */
  showWhy(explanation: Explanation | string): void {
    if (typeof explanation === "string") this.why.showNothing(explanation);
    else this.why.show(explanation);
  }

  showOutcomes(outcomes: readonly Outcome[] | string): void {
    this.outcomes.element.hidden = typeof outcomes === "string";
    if (typeof outcomes !== "string") this.outcomes.show(outcomes);
  }

  showCame(came: Came | null): void {
    this.came = came;
  }

  /** Clears what was loaded for the region before. */
  clear(): void {
    this.came = null;
    this.why.showNothing("Loading …");
    this.outcomes.element.hidden = true;
  }
}

// A slider over the history that the page has: all views show what was known at the chosen moment.
import { html, replace, setText } from "./element";
import { HOUR, MINUTE, moment } from "./words";

export interface Mark {
  at: number;
  kind: "quake" | "alert";
  title: string;
}

const STEPS = 1000;
const PLAY_MILLISECONDS = 250;

export class Scrubber {
  private readonly range = html("input", { type: "range", min: 0, max: STEPS, value: STEPS, step: 1, "aria-label": "Moment to show" });
  private readonly marks = html("div", { class: "marks", "aria-hidden": "true" });
  private readonly label = html("span", { class: "moment" });
  private readonly newest = html("button", { type: "button" }, "Newest");
  private readonly play = html("button", { type: "button", "aria-pressed": "false" }, "Play");
  private readonly earlierButton = html("button", { type: "button" }, "Load earlier");
  readonly element = html(
    "div",
    { class: "scrubber", role: "group", "aria-label": "Move back in time" },
    html("div", { class: "track" }, this.range, this.marks),
    html("div", { class: "controls" }, this.earlierButton, this.play, this.newest, this.label),
  );
  private earliest = 0;
  private latest = 0;
  private past: number | null = null;
  private timer: ReturnType<typeof setInterval> | null = null;

  constructor(
    private readonly onMove: (moment: number | null) => void,
    onEarlier: () => Promise<void>,
  ) {
    this.range.addEventListener("input", () => this.move(Number(this.range.value)));
    this.newest.addEventListener("click", () => this.showMoment(null));
    this.play.addEventListener("click", () => (this.timer === null ? this.start() : this.stop()));
    this.earlierButton.addEventListener("click", () => {
      this.earlierButton.disabled = true;
      void onEarlier().finally(() => (this.earlierButton.disabled = false));
    });
  }

  /** Shows the time span of the history and the chosen moment; null is the newest. */
  show(earliest: number, latest: number, past: number | null, marks: readonly Mark[]): void {
    this.earliest = Math.min(earliest, latest - HOUR);
    this.latest = latest;
    this.past = past;
    const span = this.latest - this.earliest;
    this.range.value = String(past === null ? STEPS : Math.round(((past - this.earliest) / span) * STEPS));
    this.updateLabel();
    replace(
      this.marks,
      ...marks.map(({ at, kind, title }) => {
        const mark = html("span", { class: kind, title });
        mark.style.left = `${(100 * (at - this.earliest)) / span}%`;
        return mark;
      }),
    );
  }

  /** Updates the label at once; the other views follow later. */
  private updateLabel(): void {
    const words =
      this.past === null ? `Newest: ${this.latest === 0 ? "no record yet" : moment(this.latest)}` : `As of ${moment(this.past)}`;
    setText(this.label, words);
    this.range.setAttribute("aria-valuetext", words);
    this.newest.disabled = this.past === null;
  }

  private move(step: number): void {
    this.showMoment(step >= STEPS ? null : this.earliest + ((this.latest - this.earliest) * step) / STEPS);
  }

  private showMoment(to: number | null): void {
    if (to === null) this.stop();
    this.past = to;
    this.updateLabel();
    this.onMove(to);
  }

  private start(): void {
    if (this.past === null) this.showMoment(this.earliest);
    const stride = Math.max(MINUTE, (this.latest - this.earliest) / 200);
    this.timer = setInterval(() => {
      const next = (this.past ?? this.latest) + stride;
      this.showMoment(next >= this.latest ? null : next);
    }, PLAY_MILLISECONDS);
    this.press(true);
  }

  private stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.press(false);
  }

  private press(playing: boolean): void {
    this.play.setAttribute("aria-pressed", String(playing));
    this.play.textContent = playing ? "Stop" : "Play";
  }
}

// Moves through the history that the page holds: everything is shown as it was known at that moment.
import { html, replace, say } from "./element";
import { HOUR, MINUTE, moment } from "./words";

export interface Mark {
  at: number;
  kind: "quake" | "alert";
  title: string;
}

const STEPS = 1000;
const PLAY_MILLISECONDS = 250;

export class Scrubber {
  private readonly range = html("input", { type: "range", min: 0, max: STEPS, value: STEPS, step: 1, "aria-label": "Moment to look at" });
  private readonly marks = html("div", { class: "marks", "aria-hidden": "true" });
  private readonly label = html("span", { class: "moment" });
  private readonly newest = html("button", { type: "button" }, "Newest");
  private readonly play = html("button", { type: "button", "aria-pressed": "false" }, "Play");
  private readonly further = html("button", { type: "button" }, "Further back");
  readonly element = html(
    "div",
    { class: "scrubber", role: "group", "aria-label": "Move back in time" },
    html("div", { class: "track" }, this.range, this.marks),
    html("div", { class: "controls" }, this.further, this.play, this.newest, this.label),
  );
  private earliest = 0;
  private latest = 0;
  private past: number | null = null;
  private timer: ReturnType<typeof setInterval> | null = null;

  constructor(
    private readonly onMove: (moment: number | null) => void,
    onFurther: () => Promise<void>,
  ) {
    this.range.addEventListener("input", () => this.move(Number(this.range.value)));
    this.newest.addEventListener("click", () => this.goto(null));
    this.play.addEventListener("click", () => (this.timer === null ? this.start() : this.stop()));
    this.further.addEventListener("click", () => {
      this.further.disabled = true;
      void onFurther().finally(() => (this.further.disabled = false));
    });
  }

  /** The span that there is, and where in it one is; null is the newest. */
  show(earliest: number, latest: number, past: number | null, marks: readonly Mark[]): void {
    this.earliest = Math.min(earliest, latest - HOUR);
    this.latest = latest;
    this.past = past;
    const span = this.latest - this.earliest;
    this.range.value = String(past === null ? STEPS : Math.round(((past - this.earliest) / span) * STEPS));
    this.tell();
    replace(
      this.marks,
      ...marks.map(({ at, kind, title }) => {
        const mark = html("span", { class: kind, title });
        mark.style.left = `${(100 * (at - this.earliest)) / span}%`;
        return mark;
      }),
    );
  }

  /** Says at once where one is; the views follow. */
  private tell(): void {
    const words = this.past === null ? `Newest: ${this.latest === 0 ? "nothing yet" : moment(this.latest)}` : `As of ${moment(this.past)}`;
    say(this.label, words);
    this.range.setAttribute("aria-valuetext", words);
    this.newest.disabled = this.past === null;
  }

  private move(step: number): void {
    this.goto(step >= STEPS ? null : this.earliest + ((this.latest - this.earliest) * step) / STEPS);
  }

  private goto(to: number | null): void {
    if (to === null) this.stop();
    this.past = to;
    this.tell();
    this.onMove(to);
  }

  private start(): void {
    if (this.past === null) this.goto(this.earliest);
    const stride = Math.max(MINUTE, (this.latest - this.earliest) / 200);
    this.timer = setInterval(() => {
      const next = (this.past ?? this.latest) + stride;
      this.goto(next >= this.latest ? null : next);
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

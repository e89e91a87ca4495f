// Whether the page shows what happens now, and what it shows if not. "Live" is said of the real feed of today alone.
import type { Status, WhyNotLive } from "./records";
import { DAY } from "./words";

interface NotLive {
  /** One word for the strip and the window's title. */
  word: string;
  title: string;
  text: string;
}

export const NOT_LIVE: Record<WhyNotLive, NotLive> = {
  replay: {
    word: "replayed",
    title: "Replay, not live",
    text: "Recorded data are played back: these earthquakes happened at another time. Nothing shown here is happening now.",
  },
  simulation: {
    word: "simulated",
    title: "Simulation, not live",
    text: "A simulated source makes these earthquakes up. Nothing shown here has happened.",
  },
  exercise: {
    word: "exercise",
    title: "Exercise, not live",
    text: "This is a drill: earthquakes and alerts are injected on purpose. Do not act on them outside the drill.",
  },
  clock: {
    word: "another time",
    title: "Another time, not live",
    text: "The clock of the source is far from ours: its data are played back. Nothing shown here is happening now.",
  },
};

/**
 * Returns why what the page shows is not live; null when it is.
 *
 * @param ofRecords what the newest record of the stream says.
 * @param now wall clock, milliseconds since 1970.
 */
export function whyNotLive(status: Status | null, ofRecords: WhyNotLive | null, now: number): WhyNotLive | null {
  const said = ofRecords ?? status?.why_not_live ?? (status?.replay ? "replay" : null);
  if (said !== null || status === null) return said;
  const { time, stale } = status.feed;
  return time !== null && !stale && Math.abs(now - Date.parse(time)) > DAY ? "clock" : null;
}

// Sums of the scores in the forecasts, over all regions.
import type { Score } from "./records";

export interface Sum {
  events: number;
  expected: number;
  /** Nats per event, by rival; null before the first event. */
  gain: Record<string, number | null>;
}

export function total(scores: Iterable<Score>): Sum {
  let [events, expected] = [0, 0];
  const nats: Record<string, number> = {};
  const eventsByRival: Record<string, number> = {};
  for (const score of scores) {
    events += score.events;
    expected += score.expected_events["model"] ?? 0;
    for (const [rival, gain] of Object.entries(score.gain_per_event)) {
      nats[rival] = (nats[rival] ?? 0) + gain * score.events;
      eventsByRival[rival] = (eventsByRival[rival] ?? 0) + score.events;
    }
  }
  const gain: Record<string, number | null> = {};
  for (const [rival, sum] of Object.entries(nats)) gain[rival] = eventsByRival[rival] ? sum / (eventsByRival[rival] as number) : null;
  return { events, expected, gain };
}

/** Returns the gain over a rival at evenly spaced moments of a time span. */
export function running(rival: string, scoresAt: (moment: number) => Iterable<Score>, since: number, until: number, steps = 60) {
  const run: { at: number; gain: number; events: number }[] = [];
  for (let step = 0; step <= steps; step += 1) {
    const at = since + ((until - since) * step) / steps;
    const { gain, events } = total(scoresAt(at));
    const value = gain[rival];
    if (value !== null && value !== undefined) run.push({ at, gain: value, events });
  }
  return run;
}

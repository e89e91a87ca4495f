// Sums of the scores that forecasts carry, over all regions.
import type { Score } from "./records";

export interface Sum {
  events: number;
  expected: number;
  /** Nats an event, by rival; null before the first event. */
  gain: Record<string, number | null>;
}

export function total(scores: Iterable<Score>): Sum {
  let [events, expected] = [0, 0];
  const nats: Record<string, number> = {};
  const counted: Record<string, number> = {};
  for (const score of scores) {
    events += score.events;
    expected += score.expected_events["model"] ?? 0;
    for (const [rival, gain] of Object.entries(score.gain_per_event)) {
      nats[rival] = (nats[rival] ?? 0) + gain * score.events;
      counted[rival] = (counted[rival] ?? 0) + score.events;
    }
  }
  const gain: Record<string, number | null> = {};
  for (const [rival, sum] of Object.entries(nats)) gain[rival] = counted[rival] ? sum / (counted[rival] as number) : null;
  return { events, expected, gain };
}

/** The gain over a rival at even moments of a span, as it stood at each. */
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

// The fields of the records and of the answers of the API that the page reads. Times are ISO 8601 in UTC.
import type { MultiPolygon, Polygon } from "geojson";

export interface SeismicEvent {
  id: string;
  time: string;
  latitude: number;
  longitude: number;
  depth_km: number | null;
  magnitude: number | null;
  magnitude_type: string;
  type: string;
  status: string;
  place: string;
  /** The source's page about the event. */
  url?: string | null;
  /** Whether the source points to a tsunami centre's bulletins. */
  tsunami?: boolean;
  /** PAGER's level of the estimated losses: `green` to `red`. */
  alert?: string | null;
  felt?: number | null;
  /** Largest estimated intensity, on the modified Mercalli scale. */
  mmi?: number | null;
}

/** Why a record is not live: a replay, a simulated source, a drill, or a source whose clock is not ours. */
export type WhyNotLive = "replay" | "simulation" | "exercise" | "clock";

export interface Change {
  $schema: "quakecast.change/1";
  kind: "added" | "updated" | "deleted" | "merged";
  region: string;
  observed_at: string;
  id: string;
  event: SeismicEvent | null;
  test?: boolean;
  why_not_live?: WhyNotLive | null;
}

export interface Heartbeat {
  $schema: "quakecast.heartbeat/1";
  observed_at: string;
  test?: boolean;
  why_not_live?: WhyNotLive | null;
}

export interface Outage {
  $schema: "quakecast.outage/1";
  observed_at: string;
  unheard_seconds: number;
  trouble: string;
}

export interface OtherRecord {
  $schema: `quakecast.${"promotion" | "activation"}/1`;
}

/** An event of `/v1/events`: its newest version. */
export interface KnownEvent extends SeismicEvent {
  region: string;
  observed_at: string;
  versions: number;
  deleted: boolean;
}

export interface Spot {
  latitude: number;
  longitude: number;
  probability: number;
}

export interface Score {
  since: string;
  until: string;
  events: number;
  expected_events: Record<string, number>;
  log_score_per_event: Record<string, number>;
  gain_per_event: Record<string, number>;
  missed_events: number;
  withdrawn_events: number;
}

export interface Forecast {
  $schema: "quakecast.forecast/1";
  id: string;
  region: string;
  issued_at: string;
  cause: string;
  event_id: string | null;
  input_sequence: number;
  model: string;
  magnitude_of_completeness: number;
  events_in_window: number;
  last_event_at: string | null;
  reissue_at: string;
  wait: {
    median_hours: number;
    quantiles_hours: Record<string, number>;
    probability_within: Record<string, number>;
    hazard_per_day: number;
  };
  magnitude: { median: number; quantiles: Record<string, number>; probability_at_least: Record<string, number> };
  where?: { spots: Spot[]; elsewhere: number } | null;
  exceedance?: { probability: Record<string, Record<string, number>>; gain: Record<string, Record<string, number>> } | null;
  score?: Score | null;
  test?: boolean;
}

export interface Alert {
  $schema: "quakecast.alert/1";
  id: string;
  revision: number;
  alert_type: "initial" | "update" | "retraction";
  rule: string;
  kind: string;
  region: string | null;
  issued_at: string;
  expires_at: string;
  active: boolean;
  headline: string;
  reason: string;
  value: number | null;
  events: string[];
  forecast: string | null;
  test?: boolean;
  why_not_live?: WhyNotLive | null;
}

export interface Region {
  id: string;
  name: string;
  magnitude_of_completeness: number;
  window_days: number;
  geometry: Polygon | MultiPolygon | null;
  forecast: Forecast | null;
}

export interface Status {
  disclaimer: string;
  now: string;
  stream_time: string | null;
  feed: { time: string | null; age_seconds: number | null; heard_seconds_ago: number | null; stale: boolean; trouble: string | null };
  replay: boolean;
  why_not_live?: WhyNotLive | null;
  lag_records: number | null;
  latency_seconds: {
    origin_to_log_median: number | null;
    log_to_forecast_median: number | null;
    log_to_forecast_p99: number | null;
  };
  model: { name: string; since: string } | null;
  dead_letters: Record<string, number>;
  counts: { events: number; forecasts: number; alerts_active: number };
}

export interface Contribution {
  time: string;
  latitude: number;
  longitude: number;
  magnitude: number;
  share: number;
}

/** Numbers of events since an outlook was issued, for one of its spans; `counts` by bin. */
export interface CameSince {
  label: string;
  over: boolean;
  counts: number[];
}

export interface Explanation {
  region: string;
  at: string;
  rate_per_day: number;
  background_share: number;
  older_share: number;
  events: Contribution[];
}

export interface Outcome {
  forecast_id: string;
  issued_at: string;
  median_wait_hours: number;
  q05: number;
  q95: number;
  event_id: string;
  event_time: string;
  wait_hours: number;
  wait_pit: number;
  magnitude: number;
  magnitude_pit: number;
}

export type TopicRecord = Change | Heartbeat | Outage | Forecast | Alert | OtherRecord;

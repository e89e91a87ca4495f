from .inter_event_times import SHORTEST_WAIT_DAYS, Waits, waits
from .scored_model import EventScores, ScoredModel, randomise_within_bin
from .scores import (
    Trial,
    bootstrap_interval,
    distance_from_uniform,
    event_and_end_times,
    histogram,
    join_scores,
    score_report,
    score_trial,
    span_scores,
)

__all__ = [
    "SHORTEST_WAIT_DAYS",
    "EventScores",
    "ScoredModel",
    "Trial",
    "Waits",
    "bootstrap_interval",
    "distance_from_uniform",
    "event_and_end_times",
    "histogram",
    "join_scores",
    "randomise_within_bin",
    "score_report",
    "score_trial",
    "span_scores",
    "waits",
]

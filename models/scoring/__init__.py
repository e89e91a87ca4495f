"""The protocol of anything that can be scored, and its scores with intervals."""

from __future__ import annotations

from models.scoring.inter_event_times import SHORTEST_WAIT_DAYS, Waits, waits
from models.scoring.scored_model import EventScores, ScoredModel, randomise_within_bin
from models.scoring.scores import bootstrap_interval, join_scores, moments, score_report, score_trial, scored

__all__ = [
    "SHORTEST_WAIT_DAYS",
    "EventScores",
    "ScoredModel",
    "Waits",
    "bootstrap_interval",
    "join_scores",
    "moments",
    "randomise_within_bin",
    "score_report",
    "score_trial",
    "scored",
    "waits",
]

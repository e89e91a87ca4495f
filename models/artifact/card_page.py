"""The model card as a page in Markdown: what a model is, what it was trained on, how good it is and where it fails, from `card.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from models.artifact.card import Card, CnnGanCard

PAGE, RELIABILITY, CURVES = "CARD.md", "reliability.png", "training.png"
INTRODUCTIONS = {
    "lstm": "A neural space–time point process with an LSTM memory: probabilities of when, where and how large a region's next "
    "earthquake will be. **Nobody can predict earthquakes**: these are probabilities, and what is unlikely happens.",
    "cnn": "A convolutional network over the maps of a region: where its next event will be, on top of the kernels of the forecaster that "
    "it was trained on, and how magnitudes differ from place to place.",
    "gan": "A generator of aftershock sequences, trained against a critic: how a sequence may unfold after a mainshock. What it makes is "
    "simulated, not observed, and no forecast.",
}
HEADINGS = {
    "time_log_likelihood": "time, ln(1/day)",
    "place_log_likelihood": "place, ln(1/km²)",
    "magnitude_log_likelihood": "magnitude, ln(1/unit)",
    "time_mae_minutes": "time, mean error, min",
    "time_median_ae_minutes": "time, median error, min",
    "magnitude_mae": "magnitude, mean error",
    "pit_time_ks": "KS of the time PIT",
    "coverage_50": "in 50 % interval",
    "coverage_90": "in 90 % interval",
}
GAINS = {
    "gain_over_poisson": "time, over Poisson",
    "gain_over_etas": "time, over ETAS",
    "place_gain_over_etas": "place, over ETAS",
    "gain_over_gutenberg_richter": "magnitude, over Gutenberg–Richter",
}


class _Parts(NamedTuple):
    """What the page of a forecaster and that of a CNN or a GAN do not share."""

    kind: str
    base: str
    data: str
    training: Sequence[str]
    """Paragraphs; likewise `scores`."""
    scores: Sequence[str]
    notes_heading: str


def forecaster_page(card: Card) -> str:
    """Return the page of a forecaster's card."""
    options = ", ".join(f"`{name}` {value}" for name, value in card.options.items() if not isinstance(value, dict))
    return _page(
        card,
        _Parts(
            kind="lstm",
            base="",
            data=_data_table(card.data),
            training=[_list(card.training), f"Options: {options}.", f"![Scores over the steps of the training]({CURVES})"],
            scores=[
                "Nats per event, the larger the better; intervals are 95 %, by a paired bootstrap over blocks of time.",
                *(part for name, scores in card.scores.items() for part in (f"### {name}", _score_table(scores), _gains(scores))),
                f"![How often the forecast probabilities came true]({RELIABILITY})",
            ],
            notes_heading="## Known failures and how to read the numbers",
        ),
    )


def cnn_gan_page(card: CnnGanCard, pictures: Sequence[str]) -> str:
    """Return the page of the card of a CNN or a GAN.

    Args:
        pictures: file names of the pictures that it shows, below the scores.
    """
    training = {name: value for name, value in card.training.items() if not isinstance(value, (list, dict))}
    return _page(
        card,
        _Parts(
            kind=card.kind,
            base=f", on top of `{card.base}`" if card.base else "",
            data="\n".join(f"- {_line(one)}" for one in card.data),
            training=[f"{_line(training)}.", f"Options: {_line(card.options)}."],
            scores=[_score_list(card.scores), *(f"![{name.removesuffix('.png').replace('-', ' ')}]({name})" for name in pictures)],
            notes_heading="## How to read the numbers",
        ),
    )


def _page(card: Card | CnnGanCard, parts: _Parts) -> str:
    """Return the page; empty paragraphs are left out."""
    paragraphs = [
        f"# Model card: {card.name}",
        INTRODUCTIONS[parts.kind],
        f"Weights: SHA-256 `{card.weights_sha256}`, format `{card.format}`{parts.base}.",
        "## Data",
        parts.data,
        "## Training",
        *parts.training,
        "## Scores",
        *parts.scores,
        parts.notes_heading,
        "\n".join(f"- {note}" for note in card.notes),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _data_table(data: Sequence[Mapping[str, Any]]) -> str:
    rows = ["| catalogue | regions | Mc | training | validation | held back |", "|---|---|---|---|---|---|"]
    for one in data:
        spans = (
            f"{part['from'][:10]} to {part['to'][:10]}: {part['events']:,}"
            for part in (one[name] for name in ("train", "validation", "test"))
        )
        rows.append(f"| {one['name']} | {one['regions']} | {one['magnitude_of_completeness']} | {' | '.join(spans)} |")
    return "\n".join(rows)


def _list(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value:.4f}" if isinstance(value, float) else f"- {name}: {value}" for name, value in values.items())


def _score_table(scores: Mapping[str, Any]) -> str:
    """Return a table of the scores of the model and its baselines; nothing without events."""
    if "events" not in scores:
        return ""
    columns = {"this model": scores, **scores.get("baselines", {})}
    rows = [f"{scores['events']:,} events", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, heading in HEADINGS.items():
        numbers = (one.get(name) for one in columns.values())
        rows.append(f"| {heading} | " + " | ".join("—" if number is None else f"{number:.4g}" for number in numbers) + " |")
    return "\n".join(rows)


def _gains(scores: Mapping[str, Any]) -> str:
    rows = []
    for name, heading in GAINS.items():
        gain = scores.get(name)
        if gain and gain["mean"] is not None:
            between = f" [{gain['low']:.3f}, {gain['high']:.3f}]" if gain["low"] is not None else ", too short a time for an interval"
            rows.append(f"- Gain in {heading}: {gain['mean']:.3f}{between}")
    return "\n".join(rows)


def _score_list(scores: Mapping[str, Any], path: str = "") -> str:
    """Return one line for each number, named by its path; an interval is one line."""
    lines = []
    for name, value in scores.items():
        here = f"{path}{name.replace('_', ' ')}"
        if isinstance(value, dict) and {"mean", "low", "high"} <= set(value):
            lines.append(f"- {here}: {_short(value['mean'])} [{_short(value['low'])}, {_short(value['high'])}]")
        elif isinstance(value, dict):
            lines.append(_score_list(value, f"{here}, "))
        elif not isinstance(value, list):
            lines.append(f"- {here}: {_short(value)}")
    return "\n".join(lines)


def _line(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    """Return a value in a few characters; of a span, its two dates."""
    if isinstance(value, dict):
        return " … ".join(str(part)[:10] for part in value.values() if isinstance(part, str)) or str(value)
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

"""The model card as a page: what a model is, what it learned from, how good it is and where it fails, from the numbers in `card.json`."""

from __future__ import annotations

from typing import Any

from models.artifact.forecaster_files import Card
from models.figures import new_figure, png_of

PAGE, PICTURE, CURVES = "CARD.md", "reliability.png", "training.png"
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


def pages(card: Card, curves: bytes) -> dict[str, bytes]:
    """The page and its pictures, by file name.

    Args:
        curves: how the training went (PNG).
    """
    return {PAGE: page(card).encode(), PICTURE: picture(card), CURVES: curves}


def page(card: Card) -> str:
    """Markdown."""
    parts = [
        f"# Model card: {card.name}",
        "A neural space–time point process with an LSTM memory: probabilities of when, where and how large a region's next "
        "earthquake will be. **Nobody can predict earthquakes**: these are probabilities, and what is unlikely happens.",
        f"Weights: SHA-256 `{card.weights_sha256}`, format `{card.format}`.",
        "## Data",
        _data(card.data),
        "## Training",
        _pairs(card.training),
        "Options: " + ", ".join(f"`{name}` {value}" for name, value in card.options.items() if not isinstance(value, dict)) + ".",
        f"![Scores over the steps of the training]({CURVES})",
        "## Scores",
        "Nats per event, the larger the better; intervals are 95 %, by a paired bootstrap over blocks of time.",
        *(part for name, scores in card.scores.items() for part in (f"### {name}", _scores(scores), _gains(scores))),
        f"![How often the forecast probabilities came true]({PICTURE})",
        "## Known failures and how to read the numbers",
        "\n".join(f"- {note}" for note in card.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def picture(card: Card) -> bytes:
    """A reliability diagram (PNG): P(wait ≤ what it was) and P(magnitude ≤ what it was) against how often they were reached.

    The diagonal is perfect calibration (Diebold, Gunther & Tay 1998, Int. Econ. Rev. 39, 863–883).
    """
    figure = new_figure(8.0, 4.0 + 0.25 * len(card.scores))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, factor in zip(axes, ("time", "magnitude"), strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1.0, linestyle="--")
        for name, scores in card.scores.items():
            counts = scores.get(f"pit_{factor}_histogram")
            if counts:
                axis.plot(*_curve(counts), label=name, linewidth=1.5)
        axis.set(title=factor, xlabel="forecast probability", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("observed share")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, loc="outside lower center")
    return png_of(figure)


def _curve(counts: list[int]) -> tuple[list[float], list[float]]:
    total, seen, shares = sum(counts), 0, [0.0]
    for count in counts:
        seen += count
        shares.append(seen / total)
    return [n / len(counts) for n in range(len(counts) + 1)], shares


def _data(data: list[dict[str, Any]]) -> str:
    rows = ["| catalogue | regions | Mc | training | validation | held back |", "|---|---|---|---|---|---|"]
    for one in data:
        spans = (
            f"{part['from'][:10]} to {part['to'][:10]}: {part['events']:,}"
            for part in (one[name] for name in ("train", "validation", "test"))
        )
        rows.append(f"| {one['name']} | {one['regions']} | {one['magnitude_of_completeness']} | {' | '.join(spans)} |")
    return "\n".join(rows)


def _pairs(values: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {value:.4f}" if isinstance(value, float) else f"- {name}: {value}" for name, value in values.items())


def _scores(scores: dict[str, Any]) -> str:
    if "events" not in scores:
        return ""
    columns = {"this model": scores, **scores.get("baselines", {})}
    rows = [f"{scores['events']:,} events", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, heading in HEADINGS.items():
        rows.append(f"| {heading} | " + " | ".join(_number(one.get(name)) for one in columns.values()) + " |")
    return "\n".join(rows)


def _gains(scores: dict[str, Any]) -> str:
    rows = []
    for name, heading in GAINS.items():
        gain = scores.get(name)
        if gain and gain["mean"] is not None:
            between = f" [{gain['low']:.3f}, {gain['high']:.3f}]" if gain["low"] is not None else ", too short a time for an interval"
            rows.append(f"- Gain in {heading}: {gain['mean']:.3f}{between}")
    return "\n".join(rows)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"

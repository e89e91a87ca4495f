"""`quakecast catalog`: describe a catalogue, what of it can be used, and its magnitude of completeness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import typer

from ingest.catalog import read_catalog
from ingest.event import DeadLetter, Event, encode_hook
from ingest.instant import Instant
from ingest.problem import Problem
from stream.cli.catalog_options import PolygonOption
from stream.cli.options import JsonOption, read_time

if TYPE_CHECKING:
    from models.catalog import Completeness, Estimate, Findings, FittedRise, Part, Report, Slope

CATALOG_EXAMPLES = "Example: quakecast catalog california.csv --end 2019-01-01"
WIDTH = 140
TYPES_SHOWN, NETWORKS_SHOWN, GAPS_SHOWN = 8, 8, 5
PARTS_PER_LINE = 7
SMALLEST_SHARE_SHOWN = 0.005


def catalog(
    files: Annotated[list[Path], typer.Argument(help="Catalogue files in any form, taken together.")],
    polygon: PolygonOption = None,
    start: Annotated[str | None, typer.Option("--start", help="Only events from this time on.")] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="Only events before this time; to prepare a training, give the end of its training span.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Describe a catalogue: events left out and why, oddities, magnitude of completeness, b-value."""
    from models.catalog import clean

    span = (read_time(start) if start else None, read_time(end) if end else None)
    if span[0] is not None and span[1] is not None and span[0] >= span[1]:
        raise typer.BadParameter("--start must be before --end")
    cleaned = clean(_within((item for file in files for item in read_catalog(file)), polygon, *span))
    report, events = cleaned.report, cleaned.events
    if not events:
        reasons = ", ".join(f"{reason} {finding.count}" for reason, finding in report.left_out.items()) or "no rows"
        raise Problem(
            f"no earthquakes with a magnitude in {', '.join(map(str, files))} ({report.rows} rows; left out: {reasons})",
            "give another catalogue, span or polygon",
        )
    completeness, rise = _completeness(events, report.habits.magnitude_step)
    if json:
        description = {"report": report, "completeness": completeness, "aftershock_completeness": rise}
        typer.echo(msgspec.json.encode(description, enc_hook=encode_hook))
        return
    for line in (*_cleaning_lines(report, events), *_completeness_lines(completeness, rise, len(events))):
        typer.echo(line)


def _within(
    items: Iterable[Event | DeadLetter], polygon: Path | None, start: Instant | None, end: Instant | None
) -> Iterator[Event | DeadLetter]:
    """Yield the events in the span and the polygon. Rows that cannot be read have neither time nor place, so all of them are kept."""
    import shapely

    from models.catalog import read_polygon

    shape = None if polygon is None else read_polygon(polygon)
    for item in items:
        if isinstance(item, DeadLetter):
            yield item
            continue
        in_span = (start is None or item.time >= start) and (end is None or item.time < end)
        if in_span and (shape is None or shapely.intersects_xy(shape, item.longitude, item.latitude)):
            yield item


def _completeness(events: list[Event], step: float) -> tuple[Completeness | None, FittedRise | None]:
    """Return the magnitude of completeness, and how it rises after large events; None where there are too few events.

    Args:
        step: the step of the catalogue's magnitudes.
    """
    from models.catalog import Span, assess_completeness, fit_short_term_incompleteness, make_point_pattern

    times = np.array([int(event.time) for event in events], dtype=np.int64)
    magnitudes = np.array([event.magnitude for event in events], dtype=np.float64)
    completeness = assess_completeness(times, magnitudes, [event.network for event in events], step)
    if completeness is None:
        return None, None
    span = Span(events[0].time, events[-1].time.plus(seconds=0.001))
    pattern = make_point_pattern(events, completeness.recommended, span)
    return completeness, fit_short_term_incompleteness(pattern, span, step)


def _cleaning_lines(report: Report, events: list[Event]) -> Iterator[str]:
    yield f"{report.rows} rows, {report.kept} earthquakes kept, {events[0].time} … {events[-1].time}"
    yield from _finding_lines("left out", report.left_out)
    if "near_duplicate" in report.left_out:
        yield f"  {report.near_duplicates_of_one_network} of the near-duplicates carry one network's name. Pairs alike but once to twice as"
        yield f"  far apart in time: {report.pairs_as_close_but_later}; about so many of the near-duplicates are neighbours, not copies"
    yield from _finding_lines("used, but look", report.noted)
    yield from _practice_lines(report)


def _finding_lines(title: str, findings: Findings) -> Iterator[str]:
    if findings:
        yield f"\n{title}"
    for reason, finding in findings.items():
        yield f"  {finding.count:7} {reason}: {finding.why}"
        yield from (f"{'':12}{example}"[:WIDTH] for example in finding.examples)


def _practice_lines(report: Report) -> Iterator[str]:
    habits = report.habits
    yield "\nhabits"
    yield f"  magnitude types   {_shares(habits.magnitude_types)}; " + (
        "one type" if habits.one_magnitude_type else "mixed, and none is converted to another"
    )
    by_year = habits.magnitude_types_by_year
    for year in (min(by_year), max(by_year)) if len(by_year) > 1 else ():
        yield f"    in {year}         {_shares(by_year[year])}"
    step = f"{habits.magnitude_step:g}" if habits.magnitude_step else "finer than 0.01"
    yield f"  magnitude step    {step}; {habits.share_rounded_to_tenths:.0%} on tenths (10 % by chance)"
    depths = ", ".join(f"{depth} km {share:.1%}" for depth, share in habits.default_depths_km.items())
    yield f"  fixed depths      {'no depths' if habits.share_without_depth == 1.0 else depths}"
    yield f"  same coordinates  {habits.share_at_repeated_coordinates:.1%} of the epicentres are another event's too"
    listed = "; ".join(f"{start} … {end}" for start, end in habits.holes[:GAPS_SHOWN])
    yield f"  holes in time     {len(habits.holes)}" + (f": {listed}" if listed else "")


def _shares(shares: dict[str, float]) -> str:
    named = [f"{name or 'not said'} {share:.1%}" for name, share in list(shares.items())[:TYPES_SHOWN] if share >= SMALLEST_SHARE_SHOWN]
    return ", ".join(named)


def _completeness_lines(completeness: Completeness | None, rise: FittedRise | None, count: int) -> Iterator[str]:
    if completeness is None:
        yield f"\n{count} earthquakes are too few to estimate from which magnitude on they are complete (50 are needed)"
        return
    yield "\nmagnitude of completeness"
    if completeness.cut_at is not None:
        yield f"  the catalogue was cut at {completeness.cut_at:g}, where it is fullest: it may be complete further down than it goes"
    yield f"  maximum curvature {_estimate(completeness.maximum_curvature)}"
    yield f"  goodness of fit   {_estimate(completeness.goodness_of_fit)}"
    yield f"  stability of b    {_estimate(completeness.slope_stability)}"
    yield from _rows("year by year", completeness.by_year)
    largest = dict(sorted(completeness.by_network.items(), key=lambda item: -item[1].events)[:NETWORKS_SHOWN])
    yield from _rows("by network", largest)
    yield "\nslope of Gutenberg–Richter from there on"
    yield f"  b (Aki–Utsu)      {_slope(completeness.b_value)}"
    yield f"  b-positive        {_slope(completeness.b_positive)}"
    yield from _rise_lines(rise)
    yield f"\nrecommended: --magnitude-of-completeness {completeness.recommended:g}"


def _rise_lines(rise: FittedRise | None) -> Iterator[str]:
    yield "\nafter large events: Mc(M, t) = M − G − H log10(days)"
    yield "  southern California, Helmstetter et al. 2006: G 4.5, H 0.75"
    if rise is None:
        yield "  too few aftershocks here to say"
        return
    yield (
        f"  here              G {rise.rise.g:.2f}, H {rise.rise.h:.2f} (95 % detected), G {rise.g_half:.2f} (half); "
        f"standard errors {rise.g_error:.2f}, {rise.h_error:.2f}"
    )
    yield (
        f"                    {rise.aftershocks} aftershocks of {rise.large_events} events, b {rise.b:.2f}, "
        f"{rise.nats_per_aftershock:.4f} nats an aftershock better than no rise"
    )


def _rows(title: str, parts: dict[Any, Part]) -> Iterator[str]:
    """Yield several parts per line, as `2015 2.5 (849)`."""
    cells = [f"{name} {_short(part.magnitude_of_completeness)} ({part.events})" for name, part in parts.items()]
    for first in range(0, len(cells), PARTS_PER_LINE):
        yield f"  {title if first == 0 else '':17} " + "  ".join(f"{cell:15}" for cell in cells[first : first + PARTS_PER_LINE]).rstrip()


def _short(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{estimate.value:.1f}"


def _estimate(estimate: Estimate) -> str:
    error = "" if estimate.error is None else f" ± {estimate.error:.2f}"
    return f"{_short(estimate)}{error}" if estimate.value is not None else "cannot be said"


def _slope(slope: Slope | None) -> str:
    return "too few events" if slope is None else f"{slope.b:.3f} ± {slope.error:.3f} ({slope.count})"

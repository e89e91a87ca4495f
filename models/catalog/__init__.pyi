from .b_value import Slope, aki_b_value
from .cleaning import LARGEST_MAGNITUDE, Findings, Report, clean, earthquakes, newest_versions
from .completeness import Completeness, Estimate, Part, assess_completeness
from .datasets import (
    FEWEST_EVENTS,
    RegionDataset,
    SplitDates,
    datasets_by_region,
    read_datasets,
    read_events,
    single_region_dataset,
)
from .gaps import spans_without_gaps
from .magnitude_rounding import common_step, half_bin_of, round_to_step
from .point_pattern import NO_SOURCES, PointPattern, Sources, Span, area_km2, make_point_pattern, read_polygon
from .short_term_incompleteness import FittedRise, fit_short_term_incompleteness

__all__ = [
    "FEWEST_EVENTS",
    "LARGEST_MAGNITUDE",
    "NO_SOURCES",
    "Completeness",
    "Estimate",
    "Findings",
    "FittedRise",
    "Part",
    "PointPattern",
    "RegionDataset",
    "Report",
    "Slope",
    "Sources",
    "Span",
    "SplitDates",
    "aki_b_value",
    "area_km2",
    "assess_completeness",
    "clean",
    "common_step",
    "datasets_by_region",
    "earthquakes",
    "fit_short_term_incompleteness",
    "half_bin_of",
    "make_point_pattern",
    "newest_versions",
    "read_datasets",
    "read_events",
    "read_polygon",
    "round_to_step",
    "single_region_dataset",
    "spans_without_gaps",
]

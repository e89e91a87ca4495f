"""Scenarios: how a sequence may unfold after a mainshock, simulated by the GAN, the forecaster or ETAS; their table and files."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines import BUILT_IN, EtasParameters, GutenbergRichter, Omori, prepare_history, read_parameters, simulate_etas
from models.catalog import PointPattern, Span
from models.gan import SequenceGenerator, condition_of
from models.numerics import EARTH_RADIUS_KM, FloatArray
from models.simulation.rollout import RegionMaps, roll_forward
from models.space_time import SpaceTimeNetwork

DISCLAIMER = "simulated, not observed"
MOST_EVENTS = 5_000
"""The largest number of events of one simulation by the forecaster."""
ETAS_EVENTS = 200_000
"""The same by ETAS."""
LOG10_D, GAMMA, RHO = -0.5, 1.2, 0.6
"""The spatial kernel (d in km²) where ETAS was not fitted: assumed values of a common size."""
B_VALUE = 1.0
"""The b-value where ETAS was not fitted."""


class Mainshock(NamedTuple):
    """The event with which a scenario begins."""

    time: Instant
    latitude: float
    longitude: float
    magnitude: float
    depth_km: float = math.nan


class Scenarios(NamedTuple):
    """N simulations with E events in all; the events of each simulation are in the order of time."""

    numbers: NDArray[np.int64]
    """(E,) the simulation of each event, 0 … N − 1."""
    days: FloatArray
    """(E,) days since the mainshock; the following columns are (E,) as well."""
    latitudes: FloatArray
    longitudes: FloatArray
    depths_km: FloatArray
    """NaN where unknown."""
    magnitudes: FloatArray
    simulations: int
    horizon_days: float
    mainshock: Mainshock
    source: str
    """The name of the model."""
    truncated: int = 0
    """Number of simulations that reached the largest number of events: they ended there, or were drawn again."""

    def counts(self, magnitude: float) -> NDArray[np.int64]:
        """Return the number of events at or above a magnitude in each simulation, (N,)."""
        return np.bincount(self.numbers[self.magnitudes >= magnitude - 1e-9], minlength=self.simulations)

    def largest(self) -> FloatArray:
        """Return the magnitude of the largest aftershock in each simulation, (N,); −∞ where there is none."""
        largest = np.full(self.simulations, -np.inf)
        np.maximum.at(largest, self.numbers, self.magnitudes)
        return largest


def append_mainshock(past: PointPattern, mainshock: Mainshock) -> PointPattern:
    """Return the past with the mainshock as its last event, observed until just after it.

    Args:
        past: events after the mainshock are left out.

    Raises:
        Problem: the mainshock is below completeness.
    """
    if mainshock.magnitude < past.magnitude_of_completeness:
        raise Problem(f"the mainshock is below M {past.magnitude_of_completeness:g}", "choose a larger one")
    before = past.before(mainshock.time)
    return replace(
        before,
        times=np.append(before.times, int(mainshock.time)),
        latitudes=np.append(before.latitudes, mainshock.latitude),
        longitudes=np.append(before.longitudes, mainshock.longitude),
        magnitudes=np.append(before.magnitudes, mainshock.magnitude),
        depths_km=np.append(before.depths_km, mainshock.depth_km),
        observed=Span(before.observed.start, Instant(int(mainshock.time) + 1)),
    )


def forecaster_scenarios(
    network: SpaceTimeNetwork, past: PointPattern, mainshock: Mainshock, days: float, n: int, seed: int, rate: float, region:
    shapely.Polygon,
    name: str, maps: RegionMaps | None = None,
) -> Scenarios:  # fmt: skip
    """Simulate n scenarios by rolling the forecaster forward.

    Args:
        past: events before the mainshock.
        days: the length of the scenarios.
        rate: μ, the region's background, events per day.
        region: corners in (longitude, latitude); no simulated event falls outside.
        name: the source that the scenarios name.
        maps: the CNN and the region's grid; None: places by the kernels alone.

    Raises:
        Problem: the mainshock is below completeness, the model was trained without places, or days or n are out of range.
    """
    pattern = append_mainshock(past, mainshock)
    rolled = roll_forward(network, pattern, pattern.observed.end, days, n, seed, rate, region, MOST_EVENTS, maps)
    columns = (rolled.paths, rolled.days, rolled.latitudes, rolled.longitudes, rolled.depths_km, rolled.magnitudes)
    return Scenarios(*columns, n, days, mainshock, name, int(rolled.truncated.sum()))


def gan_scenarios(
    generator: SequenceGenerator, past: PointPattern, mainshock: Mainshock, days: float, n: int, seed: int, name: str
) -> Scenarios:
    """Simulate n scenarios by the generator of sequences, within three source lengths of the mainshock.

    Args:
        past: events before the mainshock.
        days: the length of the scenarios.
        name: the source that the scenarios name.
    """
    place = (mainshock.magnitude, mainshock.latitude, mainshock.longitude, mainshock.depth_km)
    sequences = generator.sample(condition_of(past, mainshock.time, *place), n, days, seed)
    numbers = np.repeat(np.arange(n), [len(one.days) for one in sequences])
    lag, magnitudes, east, north, depths = (np.concatenate(column) for column in zip(*sequences, strict=True))
    latitudes = mainshock.latitude + np.degrees(north / EARTH_RADIUS_KM)
    middle = np.cos(np.radians(0.5 * (latitudes + mainshock.latitude)))
    longitudes = (mainshock.longitude + np.degrees(east / (EARTH_RADIUS_KM * middle)) + 180.0) % 360.0 - 180.0
    return Scenarios(numbers, lag, latitudes, longitudes, depths, magnitudes, n, days, mainshock, name)


def etas_scenarios(
    past: PointPattern, mainshock: Mainshock, days: float, n: int, seed: int, rate: float, region: shapely.Polygon,
    fit: tuple[EtasParameters, GutenbergRichter] | None, name: str, region_id: str = "",
) -> Scenarios:  # fmt: skip
    """Simulate n scenarios by ETAS, the productivity of large events drawn; a simulation without end is drawn again with another seed.

    Args:
        past: events before the mainshock, which go on triggering.
        days: the length of the scenarios.
        rate: μ, the region's background, events per day; only used without a fit.
        region: corners in (longitude, latitude); simulated events outside are left out.
        fit: fitted parameters and law of magnitudes; None: those of `default_etas`, and b = 1.
        name: the source that the scenarios name.
        region_id: whose productivity is used without a fit; "": that of all regions.

    Raises:
        Problem: the mainshock is below completeness, or more than n simulations have no end.
    """
    pattern = append_mainshock(past, mainshock)
    parameters, law = fit or (default_etas(past, rate, region_id), GutenbergRichter(B_VALUE * math.log(10.0), 0.0))
    simulations, refused, history = list[PointPattern](), 0, prepare_history(parameters, pattern, days)
    while len(simulations) < n:
        try:
            number = seed * n + len(simulations) + refused
            simulations.append(simulate_etas(parameters, law, region, days, number, history, most_events=ETAS_EVENTS, spread=True))
        except (Problem, ValueError):  # numpy's Poisson refuses a mean beyond its integers
            refused += 1
            if refused > n:
                raise Problem("ETAS has no end with these parameters", "fit it on a longer catalogue, or take fewer days") from None
    numbers = np.repeat(np.arange(n), [len(one) for one in simulations])
    lag = (np.concatenate([one.times for one in simulations]) - int(mainshock.time)) / MILLISECONDS_PER_DAY
    parts = ("latitudes", "longitudes", "depths_km", "magnitudes")
    latitudes, longitudes, depths, magnitudes = (np.concatenate([getattr(one, part) for one in simulations]) for part in parts)
    return Scenarios(numbers, lag, latitudes, longitudes, depths, magnitudes, n, days, mainshock, name, refused)


def default_etas(past: PointPattern, rate: float, region_id: str = "") -> EtasParameters:
    """Return parameters without a fit: the built-in live baselines' decay, productivity in final catalogues, and the spatial kernel above.

    The offspring κ G(∞) of an event Δm above completeness are their K (exp(alpha Δm) + floor):

        k0 = K/G(∞) ρ/π d^ρ        a = alpha + ρ γ

    Args:
        past: of the region; for its completeness and area.
        rate: μ, background events per day.
        region_id: whose productivity it is; "": that of all regions.
    """
    common = read_parameters(BUILT_IN)
    omega, c = common.p - 1.0, common.c_days
    k0 = common.productivity_of(region_id) / Omori(c, omega, common.taper_days).total * RHO / math.pi * 10.0 ** (LOG10_D * RHO)
    return EtasParameters(
        past.magnitude_of_completeness, past.area_km2, math.log10(rate / past.area_km2), math.log10(k0), common.alpha + RHO * GAMMA,
        math.log10(c), omega, math.log10(common.taper_days), LOG10_D, GAMMA, RHO, common.floor,
    )  # fmt: skip


def table_lines(scenarios: Scenarios, lowest: float) -> Iterator[str]:
    """Yield the lines of a table by magnitude: median number, its 95 % range, and the probability of one or more.

    Args:
        lowest: the first line is the first whole magnitude from here on; the last is the mainshock's.
    """
    yield f"{'magnitude':>10} {'median':>8} {'95 % range':>16} {'P(one or more)':>16}"
    for magnitude in range(math.ceil(lowest), math.floor(scenarios.mainshock.magnitude) + 1):
        counts = scenarios.counts(magnitude)
        low, middle, high = np.quantile(counts, (0.025, 0.5, 0.975))
        yield f"{'M ≥ ' + str(magnitude):>10} {middle:8.0f} {f'{low:.0f} … {high:.0f}':>16} {(counts > 0).mean():16.1%}"


def scenario_csv(scenarios: Scenarios) -> bytes:
    """Return all events as CSV; the first line says that they are simulated, and by what."""
    lines = [f"# {DISCLAIMER}: {scenarios.source}, after M {scenarios.mainshock.magnitude:g} at {scenarios.mainshock.time}"]
    lines.append("simulation,time,latitude,longitude,depth_km,magnitude")
    for number, day, latitude, longitude, depth, magnitude in zip(*scenarios[:6], strict=True):
        time = scenarios.mainshock.time.plus(days=float(day))
        lines.append(f"{number},{time},{latitude:.5f},{longitude:.5f},{'' if math.isnan(depth) else f'{depth:.2f}'},{magnitude:.2f}")
    return ("\n".join(lines) + "\n").encode()


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write files to a new folder, all or none: they are written beside it, and the folder is renamed.

    Args:
        folder: it must not exist, or be empty.
        files: their contents by name.

    Raises:
        Problem: the folder is not empty or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem(f"{folder} exists and is not empty", "name a new folder with -o")
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        temporary.chmod(0o755)
        for name, body in files.items():
            (temporary / name).write_bytes(body)
        os.replace(temporary, folder)
    except OSError as error:
        raise Problem(f"cannot write {folder} ({error.strerror})", "name a folder that can be written, on a disk with room") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)

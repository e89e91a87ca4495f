"""Scenarios of how a sequence may unfold after a mainshock: simulated by the GAN, the forecaster or ETAS; their table and files."""

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

SAID = "simulated, not observed"
MOST_EVENTS = 5_000
"""Of one simulation."""
ETAS_EVENTS = 200_000
LOG10_D, GAMMA, RHO = -0.5, 1.2, 0.6
"""The spatial kernel (km²) where ETAS was not fitted: numbers of the usual size, not learned from anything here."""
B_VALUE = 1.0


class Mainshock(NamedTuple):
    """Where a scenario begins."""

    time: Instant
    latitude: float
    longitude: float
    magnitude: float
    depth_km: float = math.nan


class Scenarios(NamedTuple):
    """N simulations; E events in all, of each in the order of time."""

    numbers: NDArray[np.int64]
    """(E,) which simulation, 0 … N − 1."""
    days: FloatArray
    """(E,) since the mainshock."""
    latitudes: FloatArray
    longitudes: FloatArray
    depths_km: FloatArray
    """NaN where unknown."""
    magnitudes: FloatArray
    simulations: int
    horizon_days: float
    mainshock: Mainshock
    source: str
    """Which model."""
    cut: int = 0
    """Simulations that reached the most events that one may have."""

    def counts(self, magnitude: float) -> NDArray[np.int64]:
        """(N,) events from a magnitude on."""
        return np.bincount(self.numbers[self.magnitudes >= magnitude - 1e-9], minlength=self.simulations)

    def largest(self) -> FloatArray:
        """(N,) the largest aftershock; −∞ where none came."""
        largest = np.full(self.simulations, -np.inf)
        np.maximum.at(largest, self.numbers, self.magnitudes)
        return largest


def with_mainshock(past: PointPattern, mainshock: Mainshock) -> PointPattern:
    """What was known just after it: the past, and it as the last event.

    Raises:
        Problem: it is not above completeness.
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


def by_forecaster(
    network: SpaceTimeNetwork, past: PointPattern, mainshock: Mainshock, days: float, n: int, seed: int, rate: float, region:
    shapely.Polygon,
    name: str, maps: RegionMaps | None = None,
) -> Scenarios:  # fmt: skip
    """The forecaster rolled forward, with the CNN's maps if given; `rate`: the region's background, events per day."""
    known = with_mainshock(past, mainshock)
    made = roll_forward(network, known, known.observed.end, days, n, seed, rate, region, MOST_EVENTS, maps)
    columns = (made.paths, made.days, made.latitudes, made.longitudes, made.depths_km, made.magnitudes)
    return Scenarios(*columns, n, days, mainshock, name, int(made.cut.sum()))


def by_gan(generator: SequenceGenerator, past: PointPattern, mainshock: Mainshock, days: float, n: int, seed: int, name: str) -> Scenarios:
    """The generator, within three source lengths of the mainshock."""
    place = (mainshock.magnitude, mainshock.latitude, mainshock.longitude, mainshock.depth_km)
    made = generator.sample(condition_of(past, mainshock.time, *place), n, days, seed)
    numbers = np.repeat(np.arange(n), [len(one.days) for one in made])
    lag, magnitudes, east, north, depths = (np.concatenate(column) for column in zip(*made, strict=True))
    latitudes = mainshock.latitude + np.degrees(north / EARTH_RADIUS_KM)
    middle = np.cos(np.radians(0.5 * (latitudes + mainshock.latitude)))
    longitudes = (mainshock.longitude + np.degrees(east / (EARTH_RADIUS_KM * middle)) + 180.0) % 360.0 - 180.0
    return Scenarios(numbers, lag, latitudes, longitudes, depths, magnitudes, n, days, mainshock, name)


def by_etas(
    past: PointPattern, mainshock: Mainshock, days: float, n: int, seed: int, rate: float, region: shapely.Polygon,
    given: tuple[EtasParameters, GutenbergRichter] | None, name: str,
) -> Scenarios:  # fmt: skip
    """ETAS; without parameters, those of the usual size and the region's background `rate`."""
    known = with_mainshock(past, mainshock)
    parameters, law = given or (usual_etas(past, rate), GutenbergRichter(B_VALUE * math.log(10.0), 0.0))
    made, cut, before = list[PointPattern](), 0, prepare_history(parameters, known, days)
    while len(made) < n:
        try:
            made.append(simulate_etas(parameters, law, region, days, seed * n + len(made) + cut, before, most_events=ETAS_EVENTS))
        except (Problem, ValueError):  # numpy's Poisson refuses a mean beyond its integers
            cut += 1
            if cut > n:
                raise Problem("ETAS has no end with these parameters", "fit it on a longer catalogue, or take fewer days") from None
    numbers = np.repeat(np.arange(n), [len(one) for one in made])
    lag = (np.concatenate([one.times for one in made]) - int(mainshock.time)) / MILLISECONDS_PER_DAY
    parts = ("latitudes", "longitudes", "depths_km", "magnitudes")
    latitudes, longitudes, depths, magnitudes = (np.concatenate([getattr(one, part) for one in made]) for part in parts)
    return Scenarios(numbers, lag, latitudes, longitudes, depths, magnitudes, n, days, mainshock, name, cut)


def usual_etas(past: PointPattern, rate: float) -> EtasParameters:
    """Productivity and decay common to the built-in live baselines, the spatial kernel above, and a background of `rate` events a day.

    The jump κ ∫g of an event at completeness is their productivity, and grows by exp(alpha) a magnitude: a = alpha + ρ γ.
    """
    common = read_parameters(BUILT_IN)
    omega, c = common.p - 1.0, common.c_days
    k0 = common.productivity / Omori(c, omega, common.taper_days).total * RHO / math.pi * 10.0 ** (LOG10_D * RHO)
    return EtasParameters(
        past.magnitude_of_completeness, past.area_km2, math.log10(rate / past.area_km2), math.log10(k0), common.alpha + RHO * GAMMA,
        math.log10(c), omega, math.log10(common.taper_days), LOG10_D, GAMMA, RHO,
    )  # fmt: skip


def table_lines(made: Scenarios, lowest: float) -> Iterator[str]:
    """Numbers by magnitude: median, 95 % range, and the probability of one or more."""
    yield f"{'magnitude':>10} {'median':>8} {'95 % range':>16} {'P(one or more)':>16}"
    for magnitude in range(math.ceil(lowest), math.floor(made.mainshock.magnitude) + 1):
        counts = made.counts(magnitude)
        low, middle, high = np.quantile(counts, (0.025, 0.5, 0.975))
        yield f"{'M ≥ ' + str(magnitude):>10} {middle:8.0f} {f'{low:.0f} … {high:.0f}':>16} {(counts > 0).mean():16.1%}"


def csv_of(made: Scenarios) -> bytes:
    """All events; the first line says what they are."""
    lines = [f"# {SAID}: {made.source}, after M {made.mainshock.magnitude:g} at {made.mainshock.time}"]
    lines.append("simulation,time,latitude,longitude,depth_km,magnitude")
    for number, day, latitude, longitude, depth, magnitude in zip(*made[:6], strict=True):
        time = made.mainshock.time.plus(days=float(day))
        lines.append(f"{number},{time},{latitude:.5f},{longitude:.5f},{'' if math.isnan(depth) else f'{depth:.2f}'},{magnitude:.2f}")
    return ("\n".join(lines) + "\n").encode()


def write(folder: Path, files: dict[str, bytes]) -> None:
    """All files at once, in a folder that is new: written beside it and renamed.

    Raises:
        Problem: the folder is there with something in it, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem(f"{folder} is there and not empty", "name a new folder with -o")
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

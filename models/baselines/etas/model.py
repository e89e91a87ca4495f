"""ETAS, the epidemic-type aftershock sequence model: every event triggers others, which trigger others in turn.

    λ(t, x) = μ b(x) + Σ_j k0 exp(a (m_j − Mc)) exp(−Δt/τ) / (Δt + c)^(1+ω) / (r² + d exp(γ (m_j − Mc)))^(1+ρ)

in days and km, r along great circles, magnitudes rounded to 0.1, b = 1 unless a background map is given: Ogata (1998, Ann. Inst. Stat.
Math. 50, 379–402) in the parameters of Mizrahi, Nandan & Wiemer (2021, Seismol. Res. Lett. 92, 2333–2342). The time's rate is its
integral, of the triggered part over the whole plane (∫ = π/ρ (d exp(γ Δm))^(−ρ)), of the background over the region:

    λ(t) = μ area + Σ_j κ_j g(Δt)        κ_j = k0 exp(a Δm) π/ρ (d exp(γ Δm))^(−ρ)

The place has the density λ(t, x)/λ(t). Times may have parameters of their own (`times_fit`). Of two events at the same moment the later
in the pattern sees the earlier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ingest.problem import Problem
from models.baselines.etas.background import BackgroundMap
from models.baselines.etas.omori import Omori
from models.baselines.etas.pairs import Kernel, Sources, factor_tables, triggered_densities
from models.baselines.etas.times import TimeForecasts, time_forecasts
from models.baselines.gutenberg_richter import GutenbergRichter
from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.scoring import EventScores

PUBLISHED = "etas_parameters.json"
REMEDY = "give a JSON object of ETAS parameters, or one of such objects by catalogue"
_STEP = 0.1
_EDGE = 1e-6


class EtasParameters(msgspec.Struct, frozen=True):
    """The parameters of the formula, with the names of Mizrahi's `etas`; days and km."""

    magnitude_of_completeness: float
    area_km2: float
    log10_mu: float
    """1/(day km²)."""
    log10_k0: float
    a: float
    log10_c: float
    """Days."""
    omega: float
    log10_tau: float
    """Days."""
    log10_d: float
    """km²."""
    gamma: float
    rho: float
    floor: float = 0.0
    """f: events of all magnitudes trigger as if exp((a − ργ) Δm) were larger by it, which stands for events below completeness."""

    @property
    def growth(self) -> float:
        """α = a − ργ: direct aftershocks grow by exp(α) per magnitude."""
        return self.a - self.rho * self.gamma

    @property
    def background_per_day(self) -> float:
        """μ area: the background rate of the whole region."""
        return float(10.0**self.log10_mu) * self.area_km2

    @property
    def omori(self) -> Omori:
        return Omori(float(10.0**self.log10_c), self.omega, float(10.0**self.log10_tau))

    @property
    def kernel(self) -> Kernel:
        return Kernel(self.omori.c, 1.0 + self.omega, 1.0 / self.omori.tau, 1.0 + self.rho)

    def excesses(self, magnitudes: FloatArray) -> FloatArray:
        """Return m − Mc of magnitudes (N,), m rounded to 0.1, not below 0."""
        return excesses_above(magnitudes, self.magnitude_of_completeness)

    def log_productivities(self, excesses: FloatArray) -> FloatArray:
        """Return ln k0 (exp(α Δm) + f) exp(ργ Δm) of excesses (N,); with f = 0 it is ln k0 exp(a Δm)."""
        logs: FloatArray = self.log10_k0 * math.log(10.0) + self.a * excesses
        return logs + np.log1p(self.floor * np.exp(-self.growth * excesses)) if self.floor else logs

    def scales_km2(self, excesses: FloatArray) -> FloatArray:
        """Return d exp(γ Δm) of excesses (N,), km²."""
        scales: FloatArray = 10.0**self.log10_d * np.exp(self.gamma * excesses)
        return scales

    def jumps(self, excesses: FloatArray) -> FloatArray:
        """Return κ of excesses (N,): the number of events that each event is expected to trigger anywhere, per unit of G."""
        jumps: FloatArray = np.exp(self.log_productivities(excesses)) * math.pi / self.rho * self.scales_km2(excesses) ** -self.rho
        return jumps

    @property
    def offspring_at_completeness(self) -> float:
        """N = κ G(∞) at Δm = 0: the expected number of direct aftershocks of an event at completeness, anywhere and in all time.

        N = k0 (1 + f) π/ρ d^(−ρ) G(∞). Two callers solve this for k0: `parameters_of` of the fit in logarithms, and the parameters of a
        scenario without a fit in plain numbers. Their last bits differ, so both forms stay; a test compares them.
        """
        return float(self.jumps(np.zeros(1))[0] * self.omori.total)

    def branching_ratio(self, beta: float) -> float:
        """Return the mean number of direct aftershocks of an event with a Gutenberg–Richter magnitude.

            n = ∫ β exp(−β x) N (exp(αx) + f)/(1 + f) dx = N (β/(β − α) + f)/(1 + f),     infinite if α ≥ β

        Args:
            beta: β = b ln 10, per unit of magnitude.
        """
        each = self.offspring_at_completeness / (1.0 + self.floor)
        return each * (beta / (beta - self.growth) + self.floor) if self.growth < beta else math.inf


@dataclass(frozen=True)
class Etas:
    """The parameters, and the law of magnitudes if it was fitted."""

    parameters: EtasParameters
    magnitudes: GutenbergRichter | None = None
    background: BackgroundMap | None = None
    """None: uniform."""
    time_parameters: EtasParameters | None = None
    """Parameters of the rate of times, if that was fitted to times alone (`times_fit`); None: `parameters`."""

    @property
    def name(self) -> str:
        return "etas"

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Score a span's events, (N,); see `EventScores`. The sums over places take some nanoseconds per pair of events."""
        times = self.times(pattern, span)
        rates = times.rates if self.time_parameters is None else _times(self.parameters, pattern, span).rates
        return EventScores(
            time_log_prob=np.log(times.rates) - times.expected[:-1],
            survival_log_prob=-float(times.expected[-1]),
            time_pit=-np.expm1(-times.expected[:-1]),
            median_wait_days=times.medians,
            place_log_prob=np.log(self.densities(pattern, span)) - np.log(rates),
            **self._magnitudes(pattern, span),
        )

    def times(self, pattern: PointPattern, span: Span) -> TimeForecasts:
        """Return rates (1/day), expected numbers and medians (days) of a span's waits."""
        return _times(self.time_parameters or self.parameters, pattern, span)

    def densities(self, pattern: PointPattern, span: Span) -> FloatArray:
        """Return λ(t, x) at a span's events, (N,), 1/(day km²)."""
        rows, parameters = pattern.rows(span), self.parameters
        sources = sources_of(parameters, pattern, rows.stop)
        triggered = triggered_densities(sources, parameters.kernel.c, *factor_tables(parameters.kernel, sources), rows.start)
        return triggered + parameters.background_per_day * self._background(pattern, rows)

    def _background(self, pattern: PointPattern, rows: slice) -> FloatArray | float:
        """Return the density of background events at the events of some rows, (N,) or one for all, 1/km²."""
        return 1.0 / self.parameters.area_km2 if self.background is None else self.background.density(pattern.positions_km[rows])

    def _magnitudes(self, pattern: PointPattern, span: Span) -> dict[str, FloatArray]:
        """Return the magnitude fields of `EventScores`, (N,) each; NaN without a law."""
        if self.magnitudes is not None:
            return self.magnitudes.magnitude_scores(pattern, span)
        rows = pattern.rows(span)
        missing = np.full(rows.stop - rows.start, np.nan)
        return {"magnitude_log_prob": missing, "magnitude_pit": missing, "median_magnitude": missing}

    @classmethod
    def load(cls, file: Path, name: str | None = None, magnitudes: GutenbergRichter | None = None) -> Etas:
        """Read the parameters in a JSON file.

        Args:
            name: the catalogue whose parameters are read, if the file holds those of several.
            magnitudes: the law of magnitudes; None: magnitudes are not scored.

        Raises:
            Problem: the file cannot be read, or has no parameters of that name.
        """
        try:
            content = file.read_bytes()
            entries = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
            if "log10_mu" not in entries and name not in entries:
                raise Problem(f"{file} has no ETAS parameters of {name}", f"it has {', '.join(sorted(set(entries) - {'_about'}))}")
            raw = content if "log10_mu" in entries else entries[name or ""]
            saved = msgspec.json.decode(raw, type=_Saved)
            return cls(msgspec.json.decode(raw, type=EtasParameters), magnitudes, _map_of(saved), saved.time_parameters)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem(f"the ETAS parameters in {file} cannot be read ({error})", REMEDY) from None

    def save(self, file: Path) -> None:
        """Write the parameters, those of the times and the background map if there are any, in the form that `load` reads.

        Raises:
            Problem: the file cannot be written.
        """
        kernels = None if self.background is None else self.background.kernels.tolist()
        content = msgspec.structs.asdict(self.parameters) | {"background_kernels": kernels, "time_parameters": self.time_parameters}
        try:
            file.write_bytes(msgspec.json.encode(content) + b"\n")
        except OSError as error:
            raise Problem(f"cannot write {file} ({error.strerror})", "name a file that can be written") from None


class _Saved(EtasParameters, frozen=True):
    """The content of a file that `save` writes."""

    background_kernels: list[tuple[float, float, float, float, float]] | None = None
    """Place (3 × km from the Earth's centre), share and width (km) of each."""
    time_parameters: EtasParameters | None = None


def _map_of(saved: _Saved) -> BackgroundMap | None:
    return None if saved.background_kernels is None else BackgroundMap.of(np.array(saved.background_kernels), saved.area_km2)


def _times(parameters: EtasParameters, pattern: PointPattern, span: Span) -> TimeForecasts:
    """Return rates (1/day), expected numbers and medians (days) of a span's waits."""
    past, decay = pattern.before(span.end), parameters.omori.exponentials(max(pattern.day_of(span.end), 1.0))
    return time_forecasts(past, span, parameters.background_per_day, parameters.jumps(parameters.excesses(past.magnitudes)), decay)


def excesses_above(magnitudes: FloatArray, magnitude_of_completeness: float) -> FloatArray:
    """Return m − Mc of magnitudes (N,), m rounded to 0.1 (halves up), not below 0."""
    rounded = np.floor(magnitudes / _STEP + 0.5 + _EDGE) * _STEP
    return np.maximum(rounded - magnitude_of_completeness, 0.0)


def sources_of(parameters: EtasParameters, pattern: PointPattern, stop: int) -> Sources:
    """Return the pattern's events before row `stop` as triggering events."""
    excesses, places = parameters.excesses(pattern.magnitudes[:stop]), np.ascontiguousarray(pattern.positions_km[:stop].T)
    return Sources(pattern.days[:stop], places, np.exp(parameters.log_productivities(excesses)), parameters.scales_km2(excesses))


def published_parameters_file(catalogue: Path) -> Path | None:
    """Return the file of published parameters beside a catalogue, or None if there is none or it has no entry for the catalogue.

    Args:
        catalogue: the catalogue's file; entries have the names of `catalogue_stem`.
    """
    file = catalogue.with_name(PUBLISHED)
    try:
        entries = msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return file if catalogue_stem(catalogue) in entries else None


def catalogue_stem(catalogue: Path) -> str:
    """Return a file's name without its suffixes: `ComCat_25` of `ComCat_25.csv.xz`."""
    return catalogue.name.partition(".")[0]

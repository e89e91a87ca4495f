"""The times of ETAS fitted to times alone, the spatial kernel held as it is.

The fit in space and time takes an isotropic kernel for aftershocks that lie along faults. Distant aftershocks of large events then count as
those of small ones nearer by, and the growth α of the productivity comes out too small (Hainzl, Christophersen & Enescu 2008, Bull. Seism.
Soc. Am. 98, 1849–1855, doi:10.1785/0120070256). The rate of times λ(t) has no such bias, and its own fit forecasts times better. A floor
f under the productivity stands for events below completeness:

    λ(t) = μ area + Σ_j N (exp(α Δm_j) + f) g(Δt)/G(∞)
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from models.baselines.etas.model import EtasParameters
from models.baselines.etas.omori import Omori
from models.catalog import PointPattern, Span
from models.numerics import FloatArray, compiled

BOUNDS = {"growth": (0.2, 3.5), "floor": (-5.0, 6.0), "c": (-14.0, 0.5), "omega": (-0.5, 0.9), "tau": (math.log(30.0), math.log(20_000.0))}
"""α, ln f, ln c (days), ω, ln τ (days)."""
START = {"growth": 1.5, "floor": 1.0, "c": math.log(3e-3), "omega": 0.05, "tau": math.log(2_000.0)}
SEQUENCES = {"growth": 2.13, "floor": math.log(10.0), "tau": math.log(3_650.0)}
"""What is held for simulations: the numbers of aftershocks grow like that, and no sequence is cut short."""
SEARCH = {"eps": 1e-4, "maxiter": 40}
STEPS = 60


def fit_times(parameters: EtasParameters, pattern: PointPattern, span: Span, held: Mapping[str, float] | None = None) -> EtasParameters:
    """Return parameters whose rate of times has the largest likelihood on a span, with the spatial kernel of `parameters`.

    Args:
        pattern: the events; those before the span trigger others, those after it are not used.
        held: in the terms of `BOUNDS`, what is not fitted; for instance `SEQUENCES`.
    """
    past, fixed = pattern.before(span.end), dict(held or {})
    searched = [name for name in BOUNDS if name not in fixed]
    count = max(past.count(span), 1)

    def values_of(found: FloatArray) -> dict[str, float]:
        return fixed | dict(zip(searched, found.tolist(), strict=True))

    def cost(found: FloatArray) -> float:
        return -_fit_levels(values_of(found), parameters, past, span)[2] / count

    start, bounds = [START[name] for name in searched], [BOUNDS[name] for name in searched]
    values = values_of(minimize(cost, start, method="L-BFGS-B", bounds=bounds, options=SEARCH).x)
    background, offspring, _ = _fit_levels(values, parameters, past, span)
    return parameters_of_times(values, background, offspring, parameters)


def _fit_levels(values: Mapping[str, float], parameters: EtasParameters, past: PointPattern, span: Span) -> tuple[float, float, float]:
    """Return μ area (1/day) and N by expectation–maximisation for a given shape, and ln L."""
    first, last, omori = past.day_of(span.start), past.day_of(span.end), omori_of(values)
    decay = omori.exponentials(max(last, 1.0))
    jumps = (np.exp(values["growth"] * parameters.excesses(past.magnitudes)) + math.exp(values["floor"])) / omori.total
    rows = past.rows(span)
    excitation = _excitation(past.days, jumps, decay.weights, decay.rates)[rows]
    compensator = float(jumps @ (omori.integral(last - past.days) - omori.integral(np.maximum(first - past.days, 0.0))))
    background, offspring = 0.5 * len(excitation) / (last - first), 0.5 * len(excitation) / compensator
    for _ in range(STEPS):
        untriggered = float((background / (background + offspring * excitation)).sum())
        background, offspring = untriggered / (last - first), (len(excitation) - untriggered) / compensator
    log_likelihood = float(np.log(background + offspring * excitation).sum()) - background * (last - first) - offspring * compensator
    return background, offspring, log_likelihood


def omori_of(values: Mapping[str, float]) -> Omori:
    """Return the decay of values in the terms of `BOUNDS`."""
    return Omori(math.exp(values["c"]), values["omega"], math.exp(values["tau"]))


def parameters_of_times(values: Mapping[str, float], background: float, offspring: float, spatial: EtasParameters) -> EtasParameters:
    """Return the parameters of the formula: k0 = N/G(∞) ρ/π d^ρ and a = α + ρ γ, with the spatial kernel of `spatial`."""
    omori = omori_of(values)
    k0 = math.log10(offspring / omori.total * spatial.rho / math.pi) + spatial.rho * spatial.log10_d
    return msgspec.structs.replace(
        spatial,
        log10_mu=math.log10(background / spatial.area_km2),
        log10_k0=k0,
        a=values["growth"] + spatial.rho * spatial.gamma,
        log10_c=math.log10(omori.c),
        omega=omori.omega,
        log10_tau=math.log10(omori.tau),
        floor=math.exp(values["floor"]),
    )


@compiled
def _excitation(days: FloatArray, jumps: FloatArray, weights: FloatArray, rates: FloatArray) -> FloatArray:
    """Return Σ_j jump_j Σ_k weight_k exp(−rate_k (t_i − t_j)) over the earlier events, just before each event, (N,)."""
    # One exponential at a time: its sum decays from event to event, and each event adds its jump after its own rate is taken.
    excitation = np.zeros(len(days))
    for k in range(len(rates)):
        carried = 0.0
        for i in range(1, len(days)):
            carried = (carried + jumps[i - 1] * weights[k]) * math.exp(-rates[k] * (days[i] - days[i - 1]))
            excitation[i] += carried
    return excitation

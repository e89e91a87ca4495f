"""Training of the generator against its critic.

    loss of the critic     = E softplus(D(made) − D(real)) + γ/2 (E |∇D(real)|² + E |∇D(made)|²)
    loss of the generator  = E softplus(D(real) − D(made)) + weight × energy score of the statistics

Relativistic pairing with both zero-centred penalties: R3GAN (Huang et al. 2024, arXiv:2501.05441), which converges where WGAN-GP (Gulrajani
et al. 2017) need not (Mescheder et al. 2018), and whose penalties are taken at the sequences themselves: a point halfway between 3 events
and 300 has no meaning. Real and made sequences of a pair share the condition. The energy score (Gneiting & Raftery 2007, JASA 102, 359–378)
of two made sequences a condition is proper: it punishes too little spread as well as too much, so modes cannot be dropped unnoticed.
What is averaged over the last steps (Yaz et al. 2019) is kept where the validation sequences' energy score is best.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import msgspec
import torch
from torch.nn.functional import softplus

from ingest.problem import Problem
from models.catalog import RegionDataset
from models.gan.networks import Critic, GanArchitecture, SequenceGenerator, shown
from models.gan.sequences import AftershockSequence, held_out, taught
from models.gan.statistics import Seen, packed, seen
from models.gan.tensors import Rows, rows_of
from models.training import Progress, descend

FEWEST_SEQUENCES = 20


class GanOptions(msgspec.Struct, frozen=True):
    """How the generator is trained."""

    days: float = 30.0
    steps: int = 2_400
    warm_up: int = 300
    """Steps by the energy score alone, before the critic speaks."""
    batch: int = 24
    rate: float = 1e-3
    critic_rate: float = 1e-3
    penalty: float = 0.5
    critic_share: float = 0.2
    """Weight of the critic beside the energy score."""
    most_events: int = 600
    """Of real and of made sequences the first so many are looked at."""
    largest_excess: float = 4.0
    """Larger mainshocks are learned from at a higher magnitude of completeness: chosen by the condition, not by what came."""
    averaging: float = 0.995
    width: int = 48
    noise: int = 8
    validate_every: int = 150


Curves = dict[str, list[float]]
"""By name, one value each `validate_every` steps, beside `step`."""


def fit_gan(
    lessons: Sequence[RegionDataset], options: GanOptions, seed: int = 0, progress: Progress = lambda *_: None
) -> tuple[SequenceGenerator, dict[str, float]]:
    """Train on the sequences of the training spans; the validation spans choose when to stop.

    Returns:
        The generator (in evaluation mode), and its scores.

    Raises:
        Problem: too few sequences, or the training comes to nothing.
    """
    training, validation = taught(lessons, options.days), held_out(lessons, "validation", options.days)
    generator, scores, _ = fit_sequences(training, validation or training[-FEWEST_SEQUENCES:], options, seed, progress)
    return generator, scores


def fit_sequences(
    training: Sequence[AftershockSequence],
    validation: Sequence[AftershockSequence],
    options: GanOptions,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> tuple[SequenceGenerator, dict[str, float], Curves]:
    """As `fit_gan`, from sequences; also the learning curves."""
    used = [one for one in training if one.condition.excess <= options.largest_excess + 1e-6]
    if len(used) < FEWEST_SEQUENCES:
        raise Problem(
            f"{len(used)} sequences to train the generator on, {FEWEST_SEQUENCES} are needed",
            "give catalogues with more mainshocks 2 magnitudes above completeness, or a longer training span",
        )
    torch.manual_seed(seed)
    real, held = rows_of(used, options.most_events), rows_of(validation, options.most_events)
    generator = SequenceGenerator(GanArchitecture(options.days, options.noise, options.width))
    return _Duel(generator, real, held, options, seed).fight(progress)


class _Duel:
    """Generator and critic, and what they need."""

    def __init__(self, generator: SequenceGenerator, real: Rows, held: Rows, options: GanOptions, seed: int) -> None:
        self.options, self.real, self.held, self.generator, self.critic = options, real, held, generator, Critic()
        self.chance = torch.Generator().manual_seed(seed)
        everything = self._real(real, torch.arange(len(real)))
        generator.centre.copy_(real.features.mean(0))
        generator.width.copy_(real.features.std(0).clamp(min=0.1))
        self._begin(everything)
        self.centre, self.width = everything.statistics.mean(0), everything.statistics.std(0).clamp(min=0.05)
        self.average = copy.deepcopy(generator)
        steps = {"betas": (0.5, 0.95), "weight_decay": 1e-3}
        self.optimizers = (
            torch.optim.AdamW(generator.parameters(), options.rate, **steps),  # type: ignore[arg-type]
            torch.optim.AdamW(self.critic.parameters(), options.critic_rate, **steps),  # type: ignore[arg-type]
        )

    def fight(self, progress: Progress) -> tuple[SequenceGenerator, dict[str, float], Curves]:
        names = ("step", "generator", "critic", "energy", "validation_energy")
        curves: Curves = {name: [] for name in names}
        best, kept, at = math.inf, copy.deepcopy(self.average.state_dict()), 0
        for step in range(1, self.options.steps + 1):
            for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
                group["lr"] = self.options.rate * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * step / self.options.steps)))
            losses = self._step(step > self.options.warm_up)
            if step % self.options.validate_every == 0 or step == self.options.steps:
                reached = self._validation()
                values = (float(step), *losses, reached)
                for name, value in zip(names, values, strict=True):
                    curves[name].append(value)
                progress("gan", step, self.options.steps, dict(zip(names, values, strict=True)))
                if not all(map(math.isfinite, values)):
                    raise Problem(f"the training of the generator came to nothing (NaN at step {step})", "look for impossible events")
                if reached < best:
                    best, kept, at = reached, copy.deepcopy(self.average.state_dict()), step
        self.average.load_state_dict(kept)
        sizes = {"sequences": float(len(self.real)), "validation_sequences": float(len(self.held))}
        return self.average.eval(), {"validation_energy": best, "step": float(at)} | sizes, curves

    def _step(self, critic_speaks: bool) -> tuple[float, float, float]:
        """One step of both; the losses of generator and critic, and the energy score."""
        rows = torch.randint(len(self.real), (self.options.batch,), generator=self.chance)
        real, features = self._real(self.real, rows), self.real.features[rows]
        scaled = (features - self.generator.centre) / self.generator.width
        made = self._made(self.generator, self.real, rows.repeat(2))
        halves = [Seen(*(column[part] for column in made)) for part in (slice(0, len(rows)), slice(len(rows), None))]
        critic_loss = self._teach_critic(real, halves[0], scaled) if critic_speaks else 0.0
        energy = energy_score(*((one.statistics - self.centre) / self.width for one in (real, *halves)))
        loss = energy
        adversarial = torch.zeros(())
        if critic_speaks:
            theirs = self.critic(*shown(real, self.centre, self.width), scaled).detach()
            ours = [self.critic(*shown(half, self.centre, self.width), scaled) for half in halves]
            adversarial = 0.5 * sum((softplus(theirs - score).mean() for score in ours), torch.zeros(()))
            loss = loss + self.options.critic_share * adversarial
        descend(loss, self.generator.parameters(), self.optimizers[0])
        with torch.no_grad():
            for kept, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(now, 1.0 - self.options.averaging)
        return float(adversarial.detach()), critic_loss, float(energy.detach())

    def _teach_critic(self, real: Seen, made: Seen, scaled: torch.Tensor) -> float:
        inputs = [[column.detach().requires_grad_() for column in shown(one, self.centre, self.width)] for one in (real, made)]
        scores = [self.critic(*columns, scaled) for columns in inputs]
        loss = softplus(scores[1] - scores[0]).mean()
        penalty = torch.zeros(())
        for score, (events, _, statistics) in zip(scores, inputs, strict=True):
            slopes = torch.autograd.grad(score.sum(), (events, statistics), create_graph=True)
            penalty = penalty + (slopes[0] ** 2).sum((1, 2)).mean() + (slopes[1] ** 2).sum(1).mean()
        descend(loss + 0.5 * self.options.penalty * penalty, self.critic.parameters(), self.optimizers[1])
        return float(loss.detach())

    @torch.no_grad()
    def _validation(self) -> float:
        """The mean energy score of the held-out sequences, with the same noise each time."""
        chance, total = torch.Generator().manual_seed(0), 0.0
        for low in range(0, len(self.held), 64):
            rows = torch.arange(low, min(low + 64, len(self.held)))
            real = self._real(self.held, rows, chance)
            made = [self._made(self.average, self.held, rows, chance) for _ in range(4)]
            pairs = [(made[0], made[1]), (made[2], made[3])]
            scores = [energy_score(*((one.statistics - self.centre) / self.width for one in (real, *pair))) for pair in pairs]
            total += 0.5 * float(sum(scores)) * len(rows)
        return total / max(len(self.held), 1)

    def _begin(self, everything: Seen) -> None:
        """The number of direct aftershocks begins at what a regression on the conditions says, and varies as that leaves over."""
        generator, features = self.generator, self.real.features
        scaled = torch.cat(((features - generator.centre) / generator.width, torch.ones(len(features), 1)), 1).double()
        logs = torch.log(everything.there.sum(1).double() + 0.3)
        ridge = 0.1 * len(features) ** 0.5 * torch.eye(scaled.shape[1], dtype=torch.float64)
        slopes = torch.linalg.solve(scaled.T @ scaled + ridge, scaled.T @ logs)
        with torch.no_grad():
            generator.plain.weight[0], generator.plain.bias[0] = slopes[:-1].float(), slopes[-1].float() - 0.5
            generator.varied.bias[0] = torch.log((logs - scaled @ slopes).std()).float()

    def _real(self, rows: Rows, chosen: torch.Tensor, chance: torch.Generator | None = None) -> Seen:
        one = rows.take(chosen, chance or self.chance)
        return seen(one, rows.features[chosen, :1] + 2.5, self.options.days, rows.depths_known[chosen])

    def _made(self, generator: SequenceGenerator, rows: Rows, chosen: torch.Tensor, chance: torch.Generator | None = None) -> Seen:
        features, known = rows.features[chosen], rows.depths_known[chosen]
        whole = packed(generator(features, self.options.most_events, chance or self.chance), self.options.most_events)
        turned = whole._replace(**_turned(whole.along, whole.across, chance or self.chance))
        return seen(turned, features[:, :1] + 2.5, self.options.days, known)


def energy_score(real: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The mean over sequences, for all S statistics together and for each alone: E|X − y| − E|X − X'|/2, in standard deviations.

    Args:
        real, first, second: (B, S): what was, and two draws.
    """

    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        together = torch.sqrt(((a - b) ** 2).sum(1) + 1e-6) / math.sqrt(a.shape[1])
        return together.mean() + (a - b).abs().mean()

    return 0.5 * (distance(first, real) + distance(second, real) - distance(first, second))


def _turned(along: torch.Tensor, across: torch.Tensor, chance: torch.Generator) -> dict[str, torch.Tensor]:
    """Turned by a random angle each."""
    angle = 2.0 * math.pi * torch.rand(len(along), 1, generator=chance)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return {"along": cosine * along - sine * across, "across": sine * along + cosine * across}

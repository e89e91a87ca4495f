"""Training of the generator against its critic.

    loss of the critic D   = E softplus(D(made) − D(real)) + γ/2 (E |∇D(real)|² + E |∇D(made)|²)
    loss of the generator  = E softplus(D(real) − D(made)) × weight + energy score of the statistics

- Relativistic pairs with both zero-centred gradient penalties: R3GAN (Huang et al. 2024, arXiv:2501.05441). It converges where WGAN-GP
  (Gulrajani et al. 2017) need not (Mescheder et al. 2018). The penalties are taken at the sequences themselves, because a point halfway
  between a sequence of 3 events and one of 300 has no meaning.
- The real and the generated sequence of a pair have the same condition.
- The energy score (Gneiting & Raftery 2007, JASA 102, 359–378) of two generated sequences for each condition is proper: it penalises too
  little spread as well as too much, so that mode collapse raises the loss.
- The weights are averaged over the last steps (Yaz et al. 2019); those with the best energy score of the validation sequences are kept.
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
from models.gan.condition import excess_of
from models.gan.networks import Critic, GanArchitecture, SequenceGenerator, critic_arguments
from models.gan.process import rotate
from models.gan.sequences import AftershockSequence, held_out_sequences, training_sequences
from models.gan.statistics import CriticInput, critic_input, pack_events
from models.gan.tensors import SequenceTensors, sequence_tensors
from models.training import Progress, descend, require_finite

FEWEST_SEQUENCES = 20


class GanOptions(msgspec.Struct, frozen=True):
    """Options of the training."""

    days: float = 30.0
    """Length of the sequences."""
    steps: int = 2_400
    warm_up: int = 300
    """Steps with the energy score alone, before the critic takes part."""
    batch: int = 24
    rate: float = 1e-3
    critic_rate: float = 1e-3
    """Learning rates of generator and critic at the start."""
    penalty: float = 0.5
    """γ."""
    critic_share: float = 0.2
    """Weight of the critic's part of the generator's loss."""
    most_events: int = 600
    """Number of first events of each sequence, real or generated, that are used."""
    largest_excess: float = 4.0
    """Sequences of mainshocks farther above completeness are not used at this completeness, but only at a higher one. This depends on
    the condition alone, not on the aftershocks."""
    averaging: float = 0.995
    """Decay of the average of the weights, per step."""
    width: int = 48
    noise: int = 8
    validate_every: int = 150


Curves = dict[str, list[float]]
"""Learning curves by name, one value each `validate_every` steps; `step` has the steps."""


def fit_gan(
    datasets: Sequence[RegionDataset], options: GanOptions, seed: int = 0, progress: Progress = lambda *_: None
) -> tuple[SequenceGenerator, dict[str, float]]:
    """Train a generator on the sequences of the training spans; those of the validation spans choose the step.

    Returns:
        The generator (in evaluation mode), and its scores.

    Raises:
        Problem: too few sequences, or the training diverges.
    """
    training, validation = training_sequences(datasets, options.days), held_out_sequences(datasets, "validation", options.days)
    generator, scores, _ = fit_sequences(training, validation or training[-FEWEST_SEQUENCES:], options, seed, progress)
    return generator, scores


def fit_sequences(
    training: Sequence[AftershockSequence],
    validation: Sequence[AftershockSequence],
    options: GanOptions,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> tuple[SequenceGenerator, dict[str, float], Curves]:
    """Train a generator as `fit_gan` does, on given sequences.

    Returns:
        The generator, its scores, and the learning curves.
    """
    used = [one for one in training if one.condition.excess <= options.largest_excess + 1e-6]
    if len(used) < FEWEST_SEQUENCES:
        raise Problem(
            f"{len(used)} sequences to train the generator on, {FEWEST_SEQUENCES} are needed",
            "give catalogues with more mainshocks 2 magnitudes above completeness, or a longer training span",
        )
    torch.manual_seed(seed)
    real, held_out = sequence_tensors(used, options.most_events), sequence_tensors(validation, options.most_events)
    generator = SequenceGenerator(GanArchitecture(options.days, options.noise, options.width))
    return _AdversarialTraining(generator, real, held_out, options, seed).run(progress)


class _AdversarialTraining:
    """The state of one training: generator, critic, optimizers, and the average of the generator's weights."""

    def __init__(
        self, generator: SequenceGenerator, real: SequenceTensors, held_out: SequenceTensors, options: GanOptions, seed: int
    ) -> None:
        self.options, self.real, self.held_out, self.generator, self.critic = options, real, held_out, generator, Critic()
        self.rng = torch.Generator().manual_seed(seed)
        everything = self._real_input(real, torch.arange(len(real)))
        generator.centre.copy_(real.features.mean(0))
        generator.width.copy_(real.features.std(0).clamp(min=0.1))
        self._initialise_numbers(everything)
        self.centre, self.width = everything.statistics.mean(0), everything.statistics.std(0).clamp(min=0.05)
        self.average = copy.deepcopy(generator)
        settings = {"betas": (0.5, 0.95), "weight_decay": 1e-3}
        self.optimizers = (
            torch.optim.AdamW(generator.parameters(), options.rate, **settings),  # type: ignore[arg-type]
            torch.optim.AdamW(self.critic.parameters(), options.critic_rate, **settings),  # type: ignore[arg-type]
        )

    def run(self, progress: Progress) -> tuple[SequenceGenerator, dict[str, float], Curves]:
        """Return the averaged generator of the best step, its scores, and the learning curves."""
        names = ("step", "generator", "critic", "energy", "validation_energy")
        curves: Curves = {name: [] for name in names}
        best, best_weights, best_step = math.inf, copy.deepcopy(self.average.state_dict()), 0
        for step in range(1, self.options.steps + 1):
            for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
                group["lr"] = self.options.rate * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * step / self.options.steps)))
            losses = self._step(step > self.options.warm_up)
            if step % self.options.validate_every == 0 or step == self.options.steps:
                validation_energy = self._validation_energy()
                values = (float(step), *losses, validation_energy)
                for name, value in zip(names, values, strict=True):
                    curves[name].append(value)
                progress("gan", step, self.options.steps, dict(zip(names, values, strict=True)))
                require_finite(torch.tensor(values), "GAN", f"step {step}")
                if validation_energy < best:
                    best, best_weights, best_step = validation_energy, copy.deepcopy(self.average.state_dict()), step
        self.average.load_state_dict(best_weights)
        counts = {"sequences": float(len(self.real)), "validation_sequences": float(len(self.held_out))}
        return self.average.eval(), {"validation_energy": best, "step": float(best_step)} | counts, curves

    def _step(self, with_critic: bool) -> tuple[float, float, float]:
        """Take one step of critic and generator; return the generator's and the critic's adversarial losses, and the energy score."""
        rows = torch.randint(len(self.real), (self.options.batch,), generator=self.rng)
        real, features = self._real_input(self.real, rows), self.real.features[rows]
        scaled = self.generator.scale(features)
        generated = self._generated_input(self.generator, self.real, rows.repeat(2))
        halves = [CriticInput(*(column[part] for column in generated)) for part in (slice(0, len(rows)), slice(len(rows), None))]
        critic_loss = self._step_of_critic(real, halves[0], scaled) if with_critic else 0.0
        energy = self._energy(real, *halves)
        loss = energy
        adversarial = torch.zeros(())
        if with_critic:
            real_scores = self.critic(*self._arguments(real), scaled).detach()
            scores = [self.critic(*self._arguments(half), scaled) for half in halves]
            adversarial = 0.5 * sum((softplus(real_scores - score).mean() for score in scores), torch.zeros(()))
            loss = loss + self.options.critic_share * adversarial
        descend(loss, self.generator.parameters(), self.optimizers[0])
        with torch.no_grad():
            for average, current in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                average.lerp_(current, 1.0 - self.options.averaging)
        return float(adversarial.detach()), critic_loss, float(energy.detach())

    def _step_of_critic(self, real: CriticInput, generated: CriticInput, scaled: torch.Tensor) -> float:
        """Take one step of the critic; return its loss without the penalty."""
        arguments = [[column.detach().requires_grad_() for column in self._arguments(one)] for one in (real, generated)]
        scores = [self.critic(*columns, scaled) for columns in arguments]
        loss = softplus(scores[1] - scores[0]).mean()
        penalty = torch.zeros(())
        for score, (events, _, statistics) in zip(scores, arguments, strict=True):
            slopes = torch.autograd.grad(score.sum(), (events, statistics), create_graph=True)
            penalty = penalty + (slopes[0] ** 2).sum((1, 2)).mean() + (slopes[1] ** 2).sum(1).mean()
        descend(loss + 0.5 * self.options.penalty * penalty, self.critic.parameters(), self.optimizers[1])
        return float(loss.detach())

    @torch.no_grad()
    def _validation_energy(self) -> float:
        """Return the mean energy score of the held-out sequences, with the same noise each time."""
        rng, total = torch.Generator().manual_seed(0), 0.0
        for low in range(0, len(self.held_out), 64):
            rows = torch.arange(low, min(low + 64, len(self.held_out)))
            real = self._real_input(self.held_out, rows, rng)
            draws = [self._generated_input(self.average, self.held_out, rows, rng) for _ in range(4)]
            scores = [self._energy(real, draws[0], draws[1]), self._energy(real, draws[2], draws[3])]
            total += 0.5 * float(sum(scores)) * len(rows)
        return total / max(len(self.held_out), 1)

    def _initialise_numbers(self, everything: CriticInput) -> None:
        """Start ln of the number of direct aftershocks at a ridge regression on the conditions, with the spread of its residuals."""
        generator, features = self.generator, self.real.features
        scaled = torch.cat((generator.scale(features), torch.ones(len(features), 1)), 1).double()
        logs = torch.log(everything.present.sum(1).double() + 0.3)
        ridge = 0.1 * len(features) ** 0.5 * torch.eye(scaled.shape[1], dtype=torch.float64)
        slopes = torch.linalg.solve(scaled.T @ scaled + ridge, scaled.T @ logs)
        with torch.no_grad():
            generator.plain.weight[0], generator.plain.bias[0] = slopes[:-1].float(), slopes[-1].float() - 0.5
            generator.varied.bias[0] = torch.log((logs - scaled @ slopes).std()).float()

    def _real_input(self, sequences: SequenceTensors, rows: torch.Tensor, rng: torch.Generator | None = None) -> CriticInput:
        events = sequences.select(rows, rng or self.rng)
        return critic_input(events, excess_of(sequences.features[rows]), self.options.days, sequences.depths_known[rows])

    def _generated_input(
        self, generator: SequenceGenerator, sequences: SequenceTensors, rows: torch.Tensor, rng: torch.Generator | None = None
    ) -> CriticInput:
        """Return one generated sequence for the condition of each of the rows."""
        features, most_events = sequences.features[rows], self.options.most_events
        events = pack_events(generator(features, most_events, rng or self.rng), most_events)
        along, across = rotate(events.along, events.across, rng or self.rng)
        rotated = events._replace(along=along, across=across)
        return critic_input(rotated, excess_of(features), self.options.days, sequences.depths_known[rows])

    def _arguments(self, given: CriticInput) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return critic_arguments(given, self.centre, self.width)

    def _energy(self, real: CriticInput, first: CriticInput, second: CriticInput) -> torch.Tensor:
        return energy_score(*(self._arguments(one)[2] for one in (real, first, second)))


def energy_score(real: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the mean energy score of sequences, estimated from two draws; small is good.

        ES = E|X − y| − E|X − X'|/2        Gneiting & Raftery (2007, eq. 21)

    It is the sum of two scores: that of all S statistics together, |·| being the Euclidean norm / √S, and the mean of those of each
    statistic alone.

    Args:
        real: (B, S) y, in standard deviations.
        first, second: (B, S) X and X', two draws for the same conditions.
    """

    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        norms = torch.sqrt(((a - b) ** 2).sum(1) + 1e-6) / math.sqrt(a.shape[1])
        return norms.mean() + (a - b).abs().mean()

    return 0.5 * (distance(first, real) + distance(second, real) - distance(first, second))

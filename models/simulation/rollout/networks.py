"""The forecaster's networks for simulated paths: many rows at a time, few calls, in single precision.

The formulas are those of `models.timing.formulas`, `models.place.network` and `models.magnitude.network`; a test holds the numbers equal to
a few parts in a million. A simulation takes thousands of steps, most with few rows, so the cost of a call matters as much as its work:
the weights are copied into plain tensors once, and a layer is one fused call.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import gelu

from models.catalog import LARGEST_MAGNITUDE
from models.magnitude import INPUTS_WITHOUT_PLACE, MAGNITUDE_INPUT_LIMIT, DetectedMagnitude
from models.numerics import FloatArray, Trained
from models.place import PLACE_FLOOR_PER_DAY, PlaceNetwork
from models.space_time import SpaceTimeNetwork
from models.timing import (
    KERNEL_PRODUCTIVITIES,
    KERNELS,
    TAUS_DAYS,
    Layer,
    PlainKernels,
    kept_corrections,
    kernel_weights,
    large_factors,
    large_shapes,
    log_corrections,
    lstm_step,
    magnitude_terms,
    memory_head,
)
from models.training import Scaler, bounded, scale_inputs

_LAG_SLOPE = 0.25


class PlaceKernels(NamedTuple):
    """The spatial kernels of P new events."""

    rates: FloatArray
    """(P, discs · 12) 1/day."""
    widths_km2: FloatArray
    """(P, discs + 1)"""
    stretches: FloatArray
    background_weights: FloatArray
    """(P,)"""


class RolloutNetwork:
    """A frozen copy of the weights of timing, place and magnitude networks."""

    def __init__(self, network: SpaceTimeNetwork, place: PlaceNetwork) -> None:
        kernels, memory, magnitude = network.timing.kernels, network.timing.memory, network.magnitude
        self._productivity = kernels.log_productivity.detach().exp().numpy()  # (M, a, 12)
        self._plain = PlainKernels.of(Trained.of(network.timing))
        self._kernel_scaler, self._memory_scaler = _scaler(kernels.scaler), _scaler(memory.scaler)
        self._kernel_layers = [_member_layer(layer.weight, layer.bias) for layer in (kernels.first, kernels.second, kernels.last)]
        self._head = [_member_layer(layer.weight, layer.bias) for layer in (memory.inner, memory.outer)]
        states = [layer.state_dict() for layer in memory.layers]
        gates = [torch.cat((state["weight_ih_l0"], state["weight_hh_l0"]), 1).T for state in states]
        biases = [(state["bias_ih_l0"] + state["bias_hh_l0"])[None] for state in states]
        self._gates, self._members = _member_layer(torch.stack(gates), torch.stack(biases)), len(gates)
        self._place_scaler, self._moment_scaler = _scaler(place.scaler), _scaler(place.moment_scaler)
        self._place_layers = [_single(layer.weight.T, layer.bias) for layer in (place.first, place.second, place.last)]
        self._moment_layers = [_single(layer.weight.T, layer.bias) for layer in (place.moment_first, place.moment_last)]
        self._place = {name: value.detach().double().numpy() for name, value in place.named_parameters() if "." not in name}
        self._spacing_mean, self._narrowest, self._discs = (
            float(place.spacing_mean),
            place.architecture.narrowest_km,
            place.architecture.discs,
        )
        self._share_sum = float(np.exp(self._place["log_shares"]).sum())
        self.uniform_share = float(place.uniform_share.detach())
        self._magnitude_scaler = (magnitude.input_mean.numpy(), magnitude.input_scale.numpy())
        self._magnitude_layers = [_single(layer.weight.T, layer.bias) for layer in (magnitude.first, magnitude.second, magnitude.last)]
        self._tail_rate = float(magnitude.gutenberg_richter_rate)

    def weights(self, excesses: FloatArray, features: FloatArray) -> FloatArray:
        """Return the events that each event is expected to bring, by kernel: (P,), (P, EVENT_FEATURES) -> (P, 12)."""
        scaled = _scale(features, self._kernel_scaler).expand(len(self._productivity), -1, -1)
        corrections = log_corrections(scaled, *self._kernel_layers).double().numpy()  # (M, P, 12)
        plain = magnitude_terms(excesses, KERNEL_PRODUCTIVITIES) @ self._productivity
        if self._plain.large_log_factors is not None:
            plain = plain * large_factors(excesses, self._plain.large_log_factors)
            corrections = kept_corrections(excesses, corrections, self._plain.large_correction)
        weights: FloatArray = kernel_weights(plain, corrections)
        return weights

    def shapes(self, excesses: FloatArray) -> FloatArray:
        """Return κ of the law of the productivity of large events, (P,) -> (P,)."""
        shapes: FloatArray = large_shapes(excesses, self._plain.large_log_shape)
        return shapes

    def scale_memory_inputs(self, raw: FloatArray) -> torch.Tensor:
        """Return the memory's inputs scaled, (P, inputs)."""
        return _scale(raw, self._memory_scaler)

    def head(self, hidden: torch.Tensor, scaled: torch.Tensor) -> FloatArray:
        """Return the head's outputs: (M, P, hidden), (P, inputs) -> (M, P, 3 K + 1) as `wait_of_outputs` takes them."""
        outputs: FloatArray = memory_head(hidden, scaled.expand(self._members, -1, -1), *self._head).double().numpy()
        return outputs

    def step(self, scaled: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the LSTM's hidden state and cell one event later: (P, inputs), (M, P, hidden) twice -> (M, P, hidden) twice."""
        return lstm_step(self._gates(torch.cat((scaled.expand(self._members, -1, -1), hidden), -1)), cell)

    def magnitudes(self, features: FloatArray, magnitude_of_completeness: float) -> DetectedMagnitude[FloatArray]:
        """Return the distributions of the excesses: (P, INPUTS), NaN in the inputs that need a place -> (P,)."""
        scaled = (features - self._magnitude_scaler[0]) * self._magnitude_scaler[1]
        unknown = np.isnan(scaled)
        limited = np.where(unknown, 0.0, np.clip(scaled, -MAGNITUDE_INPUT_LIMIT, MAGNITUDE_INPUT_LIMIT))
        x = torch.from_numpy(np.concatenate((limited, unknown[:, INPUTS_WITHOUT_PLACE, None]), 1).astype(np.float32))
        (first, bias), (second, more), (last, end) = self._magnitude_layers
        x = gelu(torch.addmm(bias, x, first))
        outputs = torch.addmm(end, x + gelu(torch.addmm(more, x, second)), last).double().numpy()
        return DetectedMagnitude.of_outputs(outputs, self._tail_rate, LARGEST_MAGNITUDE - magnitude_of_completeness)

    def background(self, excitation: FloatArray, rate: float) -> FloatArray:
        """Return μ' of the place network, (P,) 1/day.

        Args:
            excitation: (P, 12) of the timing network at each moment.
            rate: its μ, events per day.
        """
        (first, bias), (last, end) = self._moment_layers
        x = gelu(torch.addmm(bias, _scale(np.log(excitation + PLACE_FLOOR_PER_DAY), self._moment_scaler), first))
        outputs = bounded(torch.addmm(end, x, last)[:, 0]).double().numpy()
        background: FloatArray = rate * np.exp(float(self._place["log_background_factor"]) + outputs)
        return background

    def kernels(self, inputs: FloatArray, excesses: FloatArray, spacing: FloatArray, weights: FloatArray) -> PlaceKernels:
        """Return the spatial kernels of P new events, as `PlaceNetwork`.

        Args:
            inputs: (P, EVENT_FEATURES + geometry features).
            excesses: (P,) above completeness.
            spacing: (P,) of the neighbour geometry.
            weights: (P, 12) of the timing network.
        """
        (first, bias), (second, more), (last, end) = self._place_layers
        x = gelu(torch.addmm(bias, _scale(inputs, self._place_scaler), first))
        factors = bounded(torch.addmm(end, gelu(torch.addmm(more, x, second)), last)).double().numpy()  # (P, outputs)
        place, discs, taus = self._place, self._discs, _LAG_SLOPE * np.log(TAUS_DAYS)
        edges = np.cumsum([KERNELS, discs + 1, discs + 1, discs])
        by_weight, by_width, by_stretch, by_mixture, by_background = np.split(factors, edges, axis=1)
        logits = (place["mixture"] + place["mixture_by_magnitude"] * excesses[:, None] + by_mixture)[:, :, None]
        shares = np.exp(logits + place["mixture_by_lag"][:, None] * taus)  # (P, M, 12)
        shares /= shares.sum(1, keepdims=True)
        rates = (weights * np.exp(by_weight) / TAUS_DAYS)[:, None, :] * shares
        stretches = place["log_stretch"] + by_stretch
        widths = place["log_width"] + place["width_by_spacing"] * 2.0 * (spacing - self._spacing_mean)[:, None] + 2.0 * by_width
        widths[:, :discs] += place["width_by_magnitude"] * excesses[:, None]
        narrowest = 2.0 * math.log(self._narrowest) + 2.0 * np.abs(stretches)
        widths = narrowest + np.logaddexp(0.0, widths - narrowest)
        background_weights = np.exp(by_background[:, 0]) * self._share_sum
        return PlaceKernels(rates.reshape(len(rates), -1), np.exp(widths), np.exp(stretches), background_weights)


def _single(weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias in single precision."""
    return weight.detach().float().contiguous(), bias.detach().float().contiguous()


def _member_layer(weight: torch.Tensor, bias: torch.Tensor) -> Layer:
    """Return a layer of M members, single precision, as a function: (M, R, inputs) -> (M, R, outputs)."""
    weight, bias = _single(weight, bias)
    return lambda x: torch.baddbmm(bias, x, weight)


def _scaler(scaler: Scaler) -> tuple[FloatArray, FloatArray]:
    return scaler.mean.double().numpy(), scaler.scale.double().numpy()


def _scale(raw: FloatArray, scaler: tuple[FloatArray, FloatArray]) -> torch.Tensor:
    """Return (P, inputs) scaled, in single precision."""
    return torch.from_numpy(scale_inputs(raw, *scaler).astype(np.float32))

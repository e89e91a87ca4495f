"""The textbook network that this project started from: two recurrent layers of 128 units and a dense layer of 2, with squared error.

    the last 20 events × (wait, latitude, longitude, magnitude, depth where known), each scaled to [0, 1] by the training span's extremes
        -> [Conv2D(32) – pool – Conv2D(64) – dense(128)] -> LSTM(128) -> LSTM(128) -> dense(2)
        -> (minutes to the next event, its magnitude), scaled likewise

Its forecasts are points, not distributions, so its log-likelihoods are NaN. Training with squared error gives a conditional mean (Bishop
2006, Pattern Recognition and Machine Learning, eq. 1.89), and waits are so skewed that their mean is far above most of them: on
Californian catalogues its median error in minutes is 1.3 to 2.4 times that of the constant median, its mean error 0.9 to 1.25 times.
In `EventScores` its forecast takes the place of the median. Mean absolute errors of 5 minutes and 0.5 magnitude units are reported for it
without the data; where an event comes every five minutes, the constant median is as good in time. Compare on the same events only. Two
weaknesses are kept as in the original: raw coordinates as inputs, and scaling by extremes, which a later wait or magnitude may exceed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ingest.instant import MILLISECONDS_PER_DAY
from ingest.problem import Problem
from models.baselines.median import point_scores
from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.scoring import EventScores, waits

Cell = Literal["lstm", "gru", "rnn"]
FrontEnd = Literal["none", "conv"]

UNITS = 128
MINUTES_PER_DAY = 1440.0
_LAYERS: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
_WAIT, _MAGNITUDE = 0, 3


class TextbookOptions(msgspec.Struct, frozen=True):
    """Options of the network and its training."""

    cell: Cell = "lstm"
    front_end: FrontEnd = "none"
    """`conv`: the window as an image of events × quantities. Pooling halves the events and keeps the quantities, so the recurrent layers
    then read one dense(128) of each pair of events."""
    seed: int = 0
    window: int = 20
    """Number of past events in the input; missing ones before the first event are 0."""
    epochs: int = 20
    windows_per_epoch: int = 4096
    """Size of the random part of the training windows used in an epoch, so that it takes seconds with any catalogue."""
    patience: int = 5
    """Epochs without a better score before stopping."""
    stopping_share: float = 0.1
    """Share of the training span's last events, used to choose the epoch only; at most `windows_per_epoch` / 2, evenly spaced."""
    batch: int = 64
    learning_rate: float = 1e-3
    threads: int = 1


class Scaler(NamedTuple):
    """The extremes of Q quantities over a training span."""

    low: FloatArray
    """(Q,)"""
    width: FloatArray
    """(Q,) highest minus lowest; 1 where they are equal."""

    def scale(self, values: FloatArray) -> FloatArray:
        """Scale quantities (..., Q) in their own units to [0, 1] over the training span."""
        result: FloatArray = (values - self.low) / self.width
        return result


class FrontEndImage(nn.Module):
    """Convolutions over the window as an image: (B, window, Q) -> (B, window/2, 128)."""

    def __init__(self, quantities: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.dense = nn.Linear(64 * quantities, UNITS)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        image = torch.relu(self.first(windows[:, None]))  # (B, 32, window, Q)
        image = torch.relu(self.second(nn.functional.max_pool2d(image, (2, 1))))  # (B, 64, window/2, Q)
        return torch.relu(self.dense(image.transpose(1, 2).flatten(2)))  # (B, window/2, 128)


class Network(nn.Module):
    """The whole network: (B, window, Q) -> (B, 2) wait and magnitude, all scaled."""

    def __init__(self, quantities: int, cell: Cell, front_end: FrontEnd) -> None:
        super().__init__()
        self.front = FrontEndImage(quantities) if front_end == "conv" else nn.Identity()
        self.memory = _LAYERS[cell](UNITS if front_end == "conv" else quantities, UNITS, num_layers=2, batch_first=True)
        self.answer = nn.Linear(UNITS, 2)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.memory(self.front(windows))  # (B, T, 128)
        return self.answer(hidden[:, -1])  # type: ignore[no-any-return]


class Textbook:
    """A trained network with its scaler; a `models.scoring.ScoredModel`."""

    def __init__(self, network: Network, scaler: Scaler, options: TextbookOptions) -> None:
        self.network, self.scaler, self.options = network, scaler, options

    @property
    def name(self) -> str:
        front = "-conv" if self.options.front_end == "conv" else ""
        return f"textbook{front}-{self.options.cell}-{self.options.seed}"

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Return the point forecast before each event of the span; waits below 0 become 0, the first counts from the span's start."""
        rows = pattern.rows(span)
        windows = _windows(self.scaler.scale(quantities(pattern, len(self.scaler.low) > 4)), self.options.window)
        with _torch_threads(self.options.threads):
            scaled = _predict(self.network, windows, np.arange(rows.start, rows.stop))  # (N, 2)
        chosen = [_WAIT, _MAGNITUDE]
        minutes, magnitudes = (scaled * self.scaler.width[chosen] + self.scaler.low[chosen]).T
        wait_days = np.maximum(minutes / MINUTES_PER_DAY - waits(pattern, span).elapsed, 0.0)
        return point_scores(wait_days, magnitudes)


def fit_textbook(pattern: PointPattern, span: Span, options: TextbookOptions | None = None) -> Textbook:
    """Train the network on the events of a span; earlier events serve as inputs only. This takes minutes on one thread.

    Args:
        pattern: the events; depths are an input if one of the span is known.
        span: the training span.
        options: cell, front end, seed and training; the same seed gives the same weights. None: the defaults.

    Raises:
        Problem: fewer than 20 events in the span.
    """
    options = options or TextbookOptions()
    rows = pattern.rows(span)
    targets = np.arange(max(rows.start, 1), rows.stop)
    if len(targets) < 20:
        raise Problem(f"{len(targets)} events in the training span", "give the network at least 20")
    raw = quantities(pattern, bool(np.isfinite(pattern.depths_km[targets]).any()))  # (N, Q)
    scaler = _scaler(raw[targets])
    values = scaler.scale(raw)
    count = len(targets) - max(int(options.stopping_share * len(targets)), 1)
    with _torch_threads(options.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = Network(values.shape[1], options.cell, options.front_end)
        _train(network, values, targets[:count], targets[count:], options)
    return Textbook(network.eval(), scaler, options)


def quantities(pattern: PointPattern, with_depths: bool) -> FloatArray:
    """Return the quantities of each event, (N, 4 or 5): minutes since the last event, latitude, longitude, magnitude, depth (km or NaN)."""
    minutes = np.diff(pattern.times, prepend=pattern.times[:1]) / MILLISECONDS_PER_DAY * MINUTES_PER_DAY
    columns = [minutes, pattern.latitudes, pattern.longitudes, pattern.magnitudes]
    return np.stack(columns + [pattern.depths_km] * with_depths, axis=1)


def _scaler(raw: FloatArray) -> Scaler:
    low, high = np.nanmin(raw, axis=0), np.nanmax(raw, axis=0)
    return Scaler(low, np.where(high > low, high - low, 1.0))


def _windows(values: FloatArray, window: int) -> torch.Tensor:
    """Return the events before each event and before the next one: (N, Q) -> (N + 1, window, Q) float32, a view. Unknown depths are 0."""
    padded = np.concatenate((np.zeros((window, values.shape[1])), np.nan_to_num(values))).astype(np.float32)
    return torch.from_numpy(padded).unfold(0, window, 1).transpose(1, 2)


def _predict(network: Network, windows: torch.Tensor, rows: NDArray[np.int64]) -> FloatArray:
    """Return the scaled forecasts of the events in `rows`, (R, 2)."""
    with torch.no_grad():
        parts = [network(windows[torch.from_numpy(part)]) for part in _batches(rows, 1024)]
    return torch.cat([torch.zeros(0, 2), *parts]).double().numpy()


def _train(
    network: Network, values: FloatArray, training: NDArray[np.int64], stopping: NDArray[np.int64], options: TextbookOptions
) -> None:
    """Minimise the mean squared error of the scaled wait and magnitude with Adam; load the weights of the best epoch.

    Args:
        values: (N, Q) scaled quantities of all events.
        training, stopping: rows whose errors are minimised, and rows whose errors choose the epoch.
    """
    windows, targets = _windows(values, options.window), values[:, [_WAIT, _MAGNITUDE]]
    optimizer, order = torch.optim.Adam(network.parameters(), lr=options.learning_rate), np.random.default_rng(options.seed)
    stopping = stopping[:: -(-2 * len(stopping) // options.windows_per_epoch)]
    best, best_error, best_epoch = copy.deepcopy(network.state_dict()), np.inf, 0
    for epoch in range(options.epochs):
        for rows in _batches(order.permutation(training)[: options.windows_per_epoch], options.batch):
            error = nn.functional.mse_loss(network(windows[torch.from_numpy(rows)]), torch.from_numpy(targets[rows]).float())
            optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        stopping_error = float(((_predict(network, windows, stopping) - targets[stopping]) ** 2).mean())
        if stopping_error < best_error:
            best, best_error, best_epoch = copy.deepcopy(network.state_dict()), stopping_error, epoch
        elif epoch - best_epoch >= options.patience:
            break
    network.load_state_dict(best)


def _batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (rows[first : first + size] for first in range(0, len(rows), size))


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Set the number of torch's threads for a while: the last bits of the results depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

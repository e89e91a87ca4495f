"""Array types, and functions that take torch tensors and numpy arrays alike: a formula is written once for training and for the stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit, log_ndtr, ndtr  # type: ignore[import-untyped, unused-ignore]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def library_of(x: Any) -> Any:
    """Return the module, numpy or torch, whose functions take `x`.

    Torch is imported only when `x` is a tensor, so a program that uses arrays alone never loads it.
    """
    if isinstance(x, (np.ndarray, np.generic, float, int)):
        return np
    import torch

    return torch


def exp(x: Any) -> Any:
    """Return e^x, elementwise."""
    return library_of(x).exp(x)


def expm1(x: Any) -> Any:
    """Return e^x − 1, elementwise, exact near 0."""
    return library_of(x).expm1(x)


def log(x: Any) -> Any:
    """Return ln x, elementwise.

    A Python float takes the C library's logarithm, which can differ from numpy's in the last bit: the live step uses it throughout.
    """
    return math.log(x) if type(x) is float else library_of(x).log(x)


def log1p(x: Any) -> Any:
    """Return ln (1 + x), elementwise, exact near 0; a Python float as in `log`."""
    return math.log1p(x) if type(x) is float else library_of(x).log1p(x)


def log_add_exp(one: Any, other: Any) -> Any:
    """Return ln (e^one + e^other), elementwise, without overflow."""
    return library_of(one).logaddexp(one, other)


def log_sum_exp(x: Any) -> Any:
    """Return ln Σ e^x over the last axis, without overflow: (..., K) -> (...)."""
    library = library_of(x)
    if library is not np:
        return library.logsumexp(x, -1)
    largest = np.maximum.reduce(x, -1)
    return largest + np.log(np.add.reduce(np.exp(x - largest[..., None]), -1))


def log_softmax(x: Any) -> Any:
    """Return x − ln Σ e^x over the last axis: (..., K) -> (..., K)."""
    library = library_of(x)
    if library is not np:
        return library.log_softmax(x, -1)
    shifted = x - x.max(-1)[..., None]
    return shifted - np.log(np.exp(shifted).sum(-1))[..., None]


def normal_cdf(z: Any) -> Any:
    """Return Φ(z), the standard normal distribution function, elementwise."""
    library = library_of(z)
    return ndtr(z) if library is np else library.special.ndtr(z)


def log_normal_cdf(z: Any) -> Any:
    """Return ln Φ(z), elementwise, exact in the lower tail."""
    library = library_of(z)
    return log_ndtr(z) if library is np else library.special.log_ndtr(z)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^−x), elementwise."""
    library = library_of(x)
    return expit(x) if library is np else library.sigmoid(x)


def gelu(x: Any) -> Any:
    """Return x Φ(x), elementwise (Hendrycks & Gimpel 2016, arXiv:1606.08415, eq. 2)."""
    library = library_of(x)
    return 0.5 * x * (1.0 + erf(x * math.sqrt(0.5))) if library is np else library.nn.functional.gelu(x)


def join_columns(columns: Sequence[Any]) -> Any:
    """Return arrays or tensors of shapes (..., 1), (..., K), … side by side along the last axis."""
    return library_of(columns[0]).concatenate(columns, -1)


def as_column(x: Any) -> Any:
    """Return x with a last axis of length 1: (...) -> (..., 1), a number -> (1,)."""
    return np.array([x]) if isinstance(x, (float, int)) else x[..., None]

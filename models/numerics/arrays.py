"""Array types, and functions that take torch tensors and numpy arrays alike: a formula is written once for training and for the stream."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, log_ndtr, ndtr  # type: ignore[import-untyped, unused-ignore]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def library_of(x: Any) -> Any:
    """The module, numpy or torch, whose functions take `x`. Torch is loaded by whoever makes tensors, never from here."""
    if isinstance(x, (np.ndarray, np.generic, float, int)):
        return np
    import torch

    return torch


def exp(x: Any) -> Any:
    """e^x, elementwise."""
    return library_of(x).exp(x)


def expm1(x: Any) -> Any:
    """e^x − 1, elementwise, exact near 0."""
    return library_of(x).expm1(x)


def log(x: Any) -> Any:
    """ln x, elementwise."""
    return library_of(x).log(x)


def log_add_exp(one: Any, other: Any) -> Any:
    """ln(e^one + e^other), elementwise, without overflow."""
    return library_of(one).logaddexp(one, other)


def log_sum_exp(x: Any) -> Any:
    """(..., K) -> (...): ln Σ e^x over the last axis, without overflow."""
    library = library_of(x)
    if library is not np:
        return library.logsumexp(x, -1)
    largest = np.maximum.reduce(x, -1)
    return largest + np.log(np.add.reduce(np.exp(x - largest[..., None]), -1))


def normal_cdf(z: Any) -> Any:
    """Φ(z), the standard normal distribution function, elementwise."""
    library = library_of(z)
    return ndtr(z) if library is np else library.special.ndtr(z)


def log_normal_cdf(z: Any) -> Any:
    """ln Φ(z), elementwise, exact in the lower tail."""
    library = library_of(z)
    return log_ndtr(z) if library is np else library.special.log_ndtr(z)


def gelu(x: FloatArray) -> FloatArray:
    """x Φ(x), elementwise, equal to torch's (Hendrycks & Gimpel 2016, arXiv:1606.08415, eq. 2)."""
    value: FloatArray = 0.5 * x * (1.0 + erf(x * math.sqrt(0.5)))
    return value

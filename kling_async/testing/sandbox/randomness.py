"""Reproducible randomness: numbers derived from a seed and names, and distributions of generation times."""

from __future__ import annotations

import hashlib
from math import exp
from statistics import NormalDist
from typing import Protocol

from attrs import frozen

__all__ = ["Fixed", "Latency", "LogNormal", "Uniform", "digest_of", "draw"]


def digest_of(*names: object) -> bytes:
    """Return 32 bytes that depend on the names alone."""
    return hashlib.sha256("\x1f".join(map(str, names)).encode("utf-8", "surrogatepass")).digest()


def draw(*names: object) -> float:
    """Return a number in (0, 1): the same one for the same names."""
    return ((int.from_bytes(digest_of(*names)[:8], "big") >> 12) + 0.5) / (1 << 52)


class Latency(Protocol):
    """A distribution of generation times."""

    def at(self, randomness: float) -> float:
        """Return the quantile at `randomness`, in seconds."""
        ...


@frozen
class Fixed:
    """Every generation takes the same time, in seconds."""

    seconds: float

    def at(self, randomness: float) -> float:
        """Return the quantile at `randomness`, in seconds."""
        return self.seconds


@frozen
class Uniform:
    """Generation times are uniform between two bounds, in seconds."""

    low: float
    high: float

    def at(self, randomness: float) -> float:
        """Return the quantile at `randomness`, in seconds."""
        return self.low + randomness * (self.high - self.low)


@frozen
class LogNormal:
    """Generation times are log-normal with this median, in seconds: a few take far longer."""

    median: float
    sigma: float = 0.35

    def at(self, randomness: float) -> float:
        """Return the quantile at `randomness`, in seconds."""
        return self.median * exp(self.sigma * NormalDist().inv_cdf(randomness))

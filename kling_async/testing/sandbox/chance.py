"""Chance that can be repeated: numbers drawn from a seed and a name, and how long work takes."""

from __future__ import annotations

import hashlib
from math import exp
from statistics import NormalDist
from typing import Protocol

from attrs import frozen

__all__ = ["Fixed", "Latency", "LogNormal", "Uniform", "digest_of", "draw"]


def digest_of(*names: object) -> bytes:
    """Return 32 bytes that depend on every name and on nothing else."""
    return hashlib.sha256("\x1f".join(map(str, names)).encode("utf-8", "surrogatepass")).digest()


def draw(*names: object) -> float:
    """Return a number between 0 and 1, neither included: the same one for the same names."""
    return ((int.from_bytes(digest_of(*names)[:8], "big") >> 12) + 0.5) / (1 << 52)


class Latency(Protocol):
    """How long a generation takes."""

    def at(self, chance: float) -> float:
        """Return the seconds that a share of `chance` of all generations stays below."""
        ...


@frozen
class Fixed:
    """Every generation takes the same time, in seconds."""

    seconds: float

    def at(self, chance: float) -> float:
        """Return the seconds that a share of `chance` of all generations stays below."""
        return self.seconds


@frozen
class Uniform:
    """Any time between two bounds is as likely, in seconds."""

    low: float
    high: float

    def at(self, chance: float) -> float:
        """Return the seconds that a share of `chance` of all generations stays below."""
        return self.low + chance * (self.high - self.low)


@frozen
class LogNormal:
    """Half of all generations take less than `median` seconds, and a few take far longer."""

    median: float
    sigma: float = 0.35

    def at(self, chance: float) -> float:
        """Return the seconds that a share of `chance` of all generations stays below."""
        return self.median * exp(self.sigma * NormalDist().inv_cdf(chance))

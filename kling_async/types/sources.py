"""Facts about providers, each with its source."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

from attrs import frozen

__all__ = ["Certainty", "Fact", "Source"]

T_co = TypeVar("T_co", covariant=True)


class Certainty(StrEnum):
    """How certain a fact is."""

    DOCUMENTED = "documented"
    """The provider's own documentation states it."""
    CLIENT = "seen in clients"
    """Third-party code that calls the service relies on it."""
    ANALOGY = "by analogy"
    """Documented by another service with the same wire format."""
    INFERRED = "inferred"
    """Not stated, but it follows from what is stated."""
    UNDOCUMENTED = "not documented"
    """No page that was read mentions it."""


@frozen
class Source:
    """How certain a fact is, and where it was read.

    Attributes:
        certainty: how certain it is.
        where: the page, with its URL where it has one.
    """

    certainty: Certainty
    where: str


@frozen
class Fact(Generic[T_co]):
    """A value and its source. A value of None is unknown: it is never a guess, and never a no.

    Raises:
        ValueError: the value is unknown and the source documents it, or the reverse.
    """

    value: T_co | None
    source: Source

    def __attrs_post_init__(self) -> None:
        if (self.value is None) != (self.source.certainty is Certainty.UNDOCUMENTED):
            raise ValueError("a fact is unknown exactly where nothing documents it")

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        return str(self.value).replace("_", " ")

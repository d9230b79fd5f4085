"""What a parameter may be. A rule's text completes the sentence "the field ..."."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeGuard

from attrs import frozen

from ..inputs import Shot

__all__ = ["Address", "Addresses", "Flag", "Length", "OneOf", "Passed", "Range", "Rule", "Shots", "suggestion"]


class Rule(ABC):
    """What a parameter may be; its text completes the sentence "the field ..."."""

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Return whether the value may be sent."""

    def hint(self, value: object) -> str:
        """Return what helps with a value that is not allowed, or nothing."""
        return ""


def suggestion(wrong: str, right: Iterable[str]) -> str:
    """Return the right word that a wrong one resembles, as a question, or nothing."""
    words = {word.lower(): word for word in right}
    near = difflib.get_close_matches(str(wrong).lower(), words, n=1)
    return f"; did you mean {words[near[0]]}?" if near else ""


def _tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


@frozen
class OneOf(Rule):
    """One of a few values."""

    values: tuple[str | int, ...]

    def allows(self, value: object) -> bool:
        return any(value == one and type(value) is type(one) for one in self.values)

    def __str__(self) -> str:
        return "must be one of " + ", ".join(map(str, self.values))

    def hint(self, value: object) -> str:
        # Words have typos; one number or ratio is not a slip for the next.
        if not isinstance(value, str) or not any(map(str.isalpha, value)):
            return ""
        return suggestion(value, map(str, self.values))


@frozen
class Range(Rule):
    """A number between two bounds, both allowed."""

    low: float
    high: float
    whole: bool = True

    def allows(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"must be {'a whole number ' if self.whole else ''}from {self.low:g} to {self.high:g}"


@frozen
class Length(Rule):
    """A text with a length in characters, blank not counting as text."""

    most: int | None = None
    least: int = 1

    def allows(self, value: object) -> bool:
        if not isinstance(value, str) or len(value.strip()) < self.least:
            return False
        return self.most is None or len(value) <= self.most

    def __str__(self) -> str:
        if self.most is None:
            return "must be text, and not blank"
        return f"must be text of {self.least:,} to {self.most:,} characters"


@frozen
class Flag(Rule):
    """True or False."""

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "must be True or False"


_ADDRESS = re.compile(r"https?://[^\s/?#]+\S*")


_NO_UPLOAD = (
    ": the provider documents addresses only, no local path, no data URI and no upload, so put the file where it can "
    "be fetched"
)


@frozen
class Address(Rule):
    """The address of a file that the provider can fetch."""

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None

    def __str__(self) -> str:
        return "must be an http or https address"

    def hint(self, value: object) -> str:
        return _NO_UPLOAD


@frozen
class Addresses(Rule):
    """Addresses of files that the provider can fetch, up to a number."""

    most: int

    def allows(self, value: object) -> bool:
        return _tuple(value) and len(value) <= self.most and all(Address().allows(one) for one in value)

    def __str__(self) -> str:
        return f"takes at most {self.most}, and each {Address()}"

    def hint(self, value: object) -> str:
        return _NO_UPLOAD if _tuple(value) and not all(map(Address().allows, value)) else ""


@frozen
class Shots(Rule):
    """Parts of a video, up to a number; each prompt up to a length."""

    most: int
    prompt: Length = Length(512)

    def allows(self, value: object) -> bool:
        if not _tuple(value) or len(value) > self.most:
            return False
        return all(isinstance(shot, Shot) and self.prompt.allows(shot.prompt) for shot in value)

    def __str__(self) -> str:
        return f"takes at most {self.most} shots, and the prompt of each {self.prompt}"


@frozen
class Passed(Rule):
    """Anything; it is passed through, since what it may be is not documented."""

    what: str

    def allows(self, value: object) -> bool:
        return True

    def __str__(self) -> str:
        return f"is passed through ({self.what})"

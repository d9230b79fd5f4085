"""Rules for the values of parameters. A rule's text completes the sentence "the field ..."."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable

from attrs import frozen

from ..types.field_checks import is_tuple
from ..types.inputs import Shot
from ..types.media_values import is_optional_media

__all__ = ["Boolean", "OneOf", "Range", "Rule", "Shots", "Text", "Unchecked", "Url", "UrlList", "suggestion"]


class Rule(ABC):
    """The allowed values of a parameter; its text completes the sentence "the field ..."."""

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Return whether a value is allowed."""

    def hint(self, value: object) -> str:
        """Return a hint about a value that is not allowed, or an empty string."""
        return ""


def suggestion(unknown: str, known: Iterable[str]) -> str:
    """Return the known word closest to an unknown one, as a question, or an empty string."""
    words = {word.lower(): word for word in known}
    # A lower cutoff suggests unrelated words, such as "shots" for "notes".
    near = difflib.get_close_matches(str(unknown).lower(), words, n=1, cutoff=0.65)
    return f"; did you mean {words[near[0]]}?" if near else ""


@frozen
class OneOf(Rule):
    """One of a few values."""

    values: tuple[str | int, ...]

    def allows(self, value: object) -> bool:
        return any(value == one and type(value) is type(one) for one in self.values)

    def __str__(self) -> str:
        return "must be one of " + ", ".join(map(str, self.values))

    def hint(self, value: object) -> str:
        # Words have typos; one number or ratio is no typo of another.
        if not isinstance(value, str) or not any(map(str.isalpha, value)):
            return ""
        return suggestion(value, map(str, self.values))


@frozen
class Range(Rule):
    """A number between two bounds, both included."""

    low: float
    high: float
    integer: bool = True

    def allows(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.integer else (int, float)):
            return False
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"must be {'a whole number ' if self.integer else ''}from {self.low:g} to {self.high:g}"


@frozen
class Text(Rule):
    """A string with a length in characters; leading and trailing blanks do not count towards the minimum."""

    max_length: int | None = None
    min_length: int = 1

    def allows(self, value: object) -> bool:
        if not isinstance(value, str) or len(value.strip()) < self.min_length:
            return False
        return self.max_length is None or len(value) <= self.max_length

    def __str__(self) -> str:
        if self.max_length is None:
            return "must be text, and not blank"
        return f"must be text of {self.min_length:,} to {self.max_length:,} characters"


@frozen
class Boolean(Rule):
    """True or False."""

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "must be True or False"


_URL = re.compile(r"https?://[^\s/?#]+\S*")


_LOCAL = "; a local file is given as a pathlib.Path, and not as text"


@frozen
class Url(Rule):
    """The http or https URL of a file that the provider can fetch.

    Attributes:
        local: whether it may be local media as well, which get a URL or are sent in its place.
    """

    local: bool = True

    def allows(self, value: object) -> bool:
        if isinstance(value, str):
            return _URL.fullmatch(value) is not None or (self.local and value.startswith("data:"))
        return self.local and value is not None and is_optional_media(value)

    def __str__(self) -> str:
        return "must be an http or https URL"

    def hint(self, value: object) -> str:
        return _LOCAL if isinstance(value, str) else ""


@frozen
class UrlList(Rule):
    """URLs of files that the provider can fetch, up to a maximum number."""

    max_items: int

    def allows(self, value: object) -> bool:
        return is_tuple(value) and len(value) <= self.max_items and all(Url().allows(one) for one in value)

    def __str__(self) -> str:
        return f"takes at most {self.max_items}, and each {Url()}"

    def hint(self, value: object) -> str:
        return _LOCAL if is_tuple(value) and not all(map(Url().allows, value)) else ""


@frozen
class Shots(Rule):
    """Shots of a video, up to a maximum number; the prompt of each has a rule of its own."""

    max_items: int
    prompt: Text = Text(512)

    def allows(self, value: object) -> bool:
        if not is_tuple(value) or len(value) > self.max_items:
            return False
        return all(isinstance(shot, Shot) and self.prompt.allows(shot.prompt) for shot in value)

    def __str__(self) -> str:
        return f"takes at most {self.max_items} shots, and the prompt of each {self.prompt}"


@frozen
class Unchecked(Rule):
    """Any value; it is passed through, since its allowed values are not documented."""

    description: str

    def allows(self, value: object) -> bool:
        return True

    def __str__(self) -> str:
        return f"is passed through ({self.description})"

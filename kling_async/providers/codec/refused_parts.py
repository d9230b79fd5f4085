"""What a content policy refused, where an error names the field of the input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ...types.prediction import RefusedPart

__all__ = ["part_of_fields"]

_PROMPTS: Final = frozenset({"prompt", "negative_prompt", "multi_prompt"})
_MEDIA: Final[tuple[tuple[re.Pattern[str], RefusedPart], ...]] = (
    (re.compile(r"(?:.+_)?image(?:_urls?|s)?"), "image"),
    (re.compile(r"(?:.+_)?video(?:_urls?|s)?"), "video"),
    (re.compile(r"(?:.+_)?audio(?:_urls?|s)?"), "audio"),
)
"""Names of fields that hold the address of a medium, such as "image_url" or "start_image_url"."""


def part_of_fields(names: Iterable[str]) -> RefusedPart | None:
    """Return the part that all of these fields of an input belong to; None for none, several or unknown ones."""
    parts = set[RefusedPart | None](map(_part_of, names))
    return parts.pop() if len(parts) == 1 else None


def _part_of(name: str) -> RefusedPart | None:
    if name in _PROMPTS:
        return "prompt"
    # A field such as "generated_video" is none of the input, and whether it means the output is documented nowhere.
    if name.startswith("generated"):
        return None
    for pattern, part in _MEDIA:
        if pattern.fullmatch(name):
            return part
    return None

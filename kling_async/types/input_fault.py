"""One fault of an input."""

from __future__ import annotations

from pathlib import PurePath
from typing import NamedTuple

__all__ = ["InputFault"]


class InputFault(NamedTuple):
    """One invalid field of an input: its name, its value and what is allowed."""

    field: str
    value: object
    allowed: str

    def __str__(self) -> str:
        shown = repr(str(self.value) if isinstance(self.value, PurePath) else self.value)
        return f"{self.field}={shown if len(shown) <= 80 else f'{shown[:77]}...'}: {self.allowed}"

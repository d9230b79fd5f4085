"""The refusals that several calls of one dispatcher may handle at once."""

from __future__ import annotations

from collections import Counter

__all__ = ["OpenRefusals"]


class OpenRefusals:
    """The refusals that calls of one dispatcher handle at present, by the keys of their jobs."""

    def __init__(self) -> None:
        self._handled: Counter[str] = Counter()
        self._asked: set[str] = set()

    def begin(self, key: str | None) -> None:
        """Note that a call has learned of a refusal."""
        self._handled[key or ""] += 1

    def end(self, key: str | None) -> None:
        """Note that a call is done with it."""
        self._handled[key or ""] -= 1
        if self._handled[key or ""] <= 0:
            del self._handled[key or ""]
            self._asked.discard(key or "")

    def add_asked(self, key: str | None) -> None:
        """Note that `on_refused` has answered, for all calls that handle the refusal."""
        self._asked.add(key or "")

    def is_asked(self, key: str | None) -> bool:
        """Return whether `on_refused` has answered for one of the calls that handle the refusal."""
        return (key or "") in self._asked

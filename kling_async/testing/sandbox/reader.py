"""Reads a request's parameters, and collects everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Container, Mapping

from ...prediction import Json

__all__ = ["Invalid", "Reader"]


class Invalid(Exception):
    """A parameter is wrong; the text says which, and what is allowed."""


class Reader:
    """One JSON object, read name by name. Nothing is coerced: a number in a string is a string."""

    def __init__(self, body: Mapping[str, Json]) -> None:
        self.body = body
        self.faults: list[str] = []
        self._known: set[str] = set()

    def _get(self, name: str) -> Json:
        self._known.add(name)
        return self.body.get(name)

    def has(self, name: str) -> bool:
        """Tell whether a parameter was given and is not null."""
        return self._get(name) is not None

    def wrong(self, fault: str) -> None:
        """Note a fault."""
        self.faults.append(fault)

    def text(self, name: str, *, required: bool = False, shortest: int = 1, longest: int | None = None) -> str:
        """Read a string."""
        value = self._get(name)
        if value is None:
            if required:
                self.wrong(f"{name} is required")
            return ""
        if not isinstance(value, str):
            self.wrong(f"{name} must be a string")
            return ""
        if len(value.strip()) < shortest or (longest is not None and len(value) > longest):
            self.wrong(f"{name} must have {shortest} to {longest or 'any number of'} characters")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Read one of several words."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            self.wrong(f"{name} must be one of {', '.join(allowed)}")
            return default
        return value

    def whole(self, name: str, allowed: Container[int], default: int, *, said: str) -> int:
        """Read a whole number; `said` puts what is allowed in words."""
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            self.wrong(f"{name} must be {said}")
            return default
        return value

    def share(self, name: str) -> None:
        """Check a number from 0 to 1."""
        value = self._get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1
        ):
            self.wrong(f"{name} must be a number from 0 to 1")

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(f"{name} must be true or false")
            return default
        return value

    def address(self, name: str, *, required: bool = False) -> str:
        """Read an http or https URL."""
        value = self.text(name, required=required)
        if value and not _is_address(value):
            self.wrong(f"{name} must be an http or https URL")
        return value

    def addresses(self, name: str, *, most: int, why: str = "") -> list[str]:
        """Read an array of URLs; `why` goes on with the reason for `most`."""
        items = self.items(name)
        texts = [item for item in items if isinstance(item, str) and _is_address(item)]
        if len(texts) != len(items):
            self.wrong(f"{name} must hold http or https URLs")
        if len(items) > most:
            self.wrong(f"{name} must hold at most {most} URLs{why}")
        return texts

    def items(self, name: str) -> list[Json]:
        """Read an array."""
        value = self._get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(f"{name} must be an array")
            return []
        return value

    def finish(self, *, strict: bool) -> None:
        """Raise Invalid when anything was wrong; with `strict`, also when a name was never asked for."""
        if strict:
            self.faults.extend(f"{name} is not a known parameter" for name in sorted(self.body.keys() - self._known))
        if self.faults:
            raise Invalid("; ".join(self.faults))


def _is_address(value: str) -> bool:
    # Both providers document URLs only; a data URI or a path is what a client must not send.
    scheme, colon, rest = value.partition("://")
    return scheme.lower() in {"http", "https"} and bool(colon) and bool(rest.strip("/"))

"""Reads the parameters of a request, and collects their errors."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Container, Mapping

from ...types.prediction import Json

__all__ = ["Invalid", "ParameterReader", "is_image_object", "text_of"]


class Invalid(Exception):
    """Invalid parameters; the text names each, and what is allowed."""


class ParameterReader:
    """Reads a JSON object name by name. Nothing is coerced: a number in a string is a string."""

    def __init__(self, body: Mapping[str, Json]) -> None:
        self.body = body
        self.errors: list[str] = []
        self._known: set[str] = set()
        self._sections: dict[str, ParameterReader] = {}

    def _get(self, name: str) -> Json:
        self._known.add(name)
        return self.body.get(name)

    def known(self, name: str) -> None:
        """Take note of a parameter with any value, which `raise_errors` then knows."""
        self._known.add(name)

    def add_error(self, error: str) -> None:
        """Add an error."""
        self.errors.append(error)

    def string(self, name: str, *, required: bool = False, min_length: int = 1, max_length: int | None = None) -> str:
        """Read a string."""
        value = self._get(name)
        if value is None:
            if required:
                self.add_error(f"{name} is required")
            return ""
        if not isinstance(value, str):
            self.add_error(f"{name} must be a string")
            return ""
        if len(value.strip()) < min_length or (max_length is not None and len(value) > max_length):
            self.add_error(f"{name} must have {min_length} to {max_length or 'any number of'} characters")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Read one of the allowed strings."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            self.add_error(f"{name} must be one of {', '.join(allowed)}")
            return default
        return value

    def integer(self, name: str, allowed: Container[int], default: int, *, expected: str) -> int:
        """Read an integer; `expected` is the text for what is allowed."""
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            self.add_error(f"{name} must be {expected}")
            return default
        return value

    def check_fraction(self, name: str) -> None:
        """Check a number from 0 to 1."""
        value = self._get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1
        ):
            self.add_error(f"{name} must be a number from 0 to 1")

    def boolean(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.add_error(f"{name} must be true or false")
            return default
        return value

    def url(self, name: str, *, required: bool = False) -> str:
        """Read an http or https URL."""
        value = self.string(name, required=required)
        if value and not _is_url(value):
            self.add_error(f"{name} must be an http or https URL")
        return value

    def image(self, name: str, *, required: bool = False) -> str:
        """Read an image: an http or https URL, or bare base64 of a JPEG or PNG file, without `data:`."""
        value = self.string(name, required=required)
        if value and not _is_url(value) and not _is_image(value):
            self.add_error(f"{name} must be an http or https URL, or base64 of a JPEG or PNG file")
        return value

    def urls(self, name: str, *, max_items: int, suffix: str = "") -> list[str]:
        """Read an array of URLs; `suffix` is appended to the error about `max_items`."""
        items = self.array(name)
        texts = [item for item in items if isinstance(item, str) and _is_url(item)]
        if len(texts) != len(items):
            self.add_error(f"{name} must hold http or https URLs")
        if len(items) > max_items:
            self.add_error(f"{name} must hold at most {max_items} URLs{suffix}")
        return texts

    def array(self, name: str) -> list[Json]:
        """Read an array."""
        value = self._get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.add_error(f"{name} must be an array")
            return []
        return value

    def object(self, name: str) -> Mapping[str, Json]:
        """Read an object."""
        value = self._get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.add_error(f"{name} must be an object")
            return {}
        return value

    def section(self, name: str) -> ParameterReader:
        """Return the reader of an object, an empty one if it is left out; its errors are among those of this reader."""
        value = self._get(name)
        if value is not None and not isinstance(value, Mapping):
            self.add_error(f"{name} must be an object")
        self._sections[name] = ParameterReader(value if isinstance(value, Mapping) else {})
        return self._sections[name]

    def raise_errors(self, *, strict: bool) -> None:
        """Raise Invalid if there are errors; with `strict`, also for names that were never read."""
        errors = self.all_errors(strict=strict)
        if errors:
            raise Invalid("; ".join(errors))

    def all_errors(self, *, strict: bool) -> list[str]:
        """Return the errors; with `strict`, also one for each name that was never read."""
        unknown = sorted(self.body.keys() - self._known) if strict else []
        errors = [*self.errors, *(f"{name} is not a known parameter" for name in unknown)]
        for name, section in self._sections.items():
            errors += [f"{name}.{error}" for error in section.all_errors(strict=strict)]
        return errors


def text_of(value: Json) -> str:
    """Return a value that is a string, and an empty string in place of anything else."""
    return value if isinstance(value, str) else ""


def is_image_object(value: Json) -> bool:
    """Return whether a value is an object whose `image` is a URL, or base64 of an image."""
    reader = ParameterReader(value if isinstance(value, Mapping) else {})
    reader.image("image", required=True)
    return not reader.errors


def _is_image(value: str) -> bool:
    try:
        content = b64decode(value, validate=True)
    except ValueError:
        return False
    return content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def _is_url(value: str) -> bool:
    # These providers document URLs only: a client must not send data URIs or paths.
    scheme, colon, rest = value.partition("://")
    return scheme.lower() in {"http", "https"} and bool(colon) and bool(rest.strip("/"))

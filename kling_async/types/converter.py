"""A strict cattrs converter: a value of another type is an error, never coerced.

cattrs coerces by default: a null id becomes the text "None", and a text becomes a list of letters.
"""

from __future__ import annotations

from collections.abc import Callable

from cattrs import Converter

__all__ = ["strict_converter"]


def _require_type(*kinds: type) -> Callable[[object, object], object]:
    def hook(value: object, _: object) -> object:
        if type(value) not in kinds:
            raise TypeError(f"expected {kinds[0].__name__}, found {type(value).__name__}")
        return value

    return hook


def strict_converter() -> Converter:
    """Return a converter that coerces nothing."""
    converter = Converter()
    for kind in (str, bool, int):
        converter.register_structure_hook(kind, _require_type(kind))
    converter.register_structure_hook(float, _require_type(float, int))
    return converter

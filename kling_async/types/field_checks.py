"""Check the types of an input's fields; all faults come in one error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeGuard

from .errors import InputError, InputFault

__all__ = [
    "FieldChecks",
    "are_texts",
    "check_fields",
    "is_boolean",
    "is_json_object",
    "is_optional_boolean",
    "is_optional_text",
    "is_str_map",
    "is_text",
    "is_tuple",
    "is_whole_number",
]

FieldChecks: TypeAlias = Mapping[str, tuple[Callable[[object], bool], str]]
"""The check of each field, and its rule, which completes the sentence "the field ..."."""


def check_fields(value: object, checks: FieldChecks) -> None:
    """Raise InputError with a fault for each field of the wrong type."""
    faults = [
        InputFault(name, getattr(value, name), allowed)
        for name, (is_valid, allowed) in checks.items()
        if not is_valid(getattr(value, name))
    ]
    if faults:
        raise InputError.of(f"Invalid {type(value).__name__}", faults)


def is_text(value: object) -> bool:
    """Return whether a value is a str."""
    return isinstance(value, str)


def is_optional_text(value: object) -> bool:
    """Return whether a value is a str or None."""
    return value is None or isinstance(value, str)


def is_boolean(value: object) -> bool:
    """Return whether a value is a bool."""
    return isinstance(value, bool)


def is_optional_boolean(value: object) -> bool:
    """Return whether a value is a bool or None."""
    return value is None or isinstance(value, bool)


def is_whole_number(value: object) -> bool:
    """Return whether a value is an int, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    """Return whether a value is a tuple."""
    return isinstance(value, tuple)


def are_texts(value: object) -> bool:
    """Return whether a value is a tuple of str."""
    return is_tuple(value) and all(isinstance(item, str) for item in value)


def is_str_map(value: object) -> bool:
    """Return whether a value is a mapping of str to str."""
    return _is_mapping(value) and all(isinstance(text, str) for pair in value.items() for text in pair)


def is_json_object(value: object) -> bool:
    """Return whether a value is a mapping with str keys that can be written as JSON."""
    if not _is_mapping(value) or not all(isinstance(name, str) for name in value):
        return False
    if not value:
        return True
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)

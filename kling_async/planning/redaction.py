"""What is kept on disk, in logs and in reports is read by others: it holds no data URI, and no signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..prediction import Json

__all__ = ["without_secrets"]

_QUERY: Final = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_DATA: Final = re.compile(r"(data:[\w.+/-]*)[;,][^\s\"'<>]*", re.IGNORECASE)


def without_secrets(value: Json) -> Json:
    """Return a value without data URIs and without the queries of addresses, where signatures stand."""
    if isinstance(value, str):
        return _DATA.sub(r"\1", _QUERY.sub(r"\1", value))
    if isinstance(value, Mapping):
        return {name: without_secrets(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item) for item in value]
    return value

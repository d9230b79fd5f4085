"""Redaction of text for disk, logs and reports, which others may read: no data URIs and no signatures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..types.prediction import Json

__all__ = ["redact"]

_QUERY: Final = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_DATA: Final = re.compile(r"(data:[\w.+/-]*)[;,][^\s\"'<>]*", re.IGNORECASE)


def redact(value: Json) -> Json:
    """Return a value without data URIs and without the queries of URLs, which hold signatures."""
    if isinstance(value, str):
        return _DATA.sub(r"\1", _QUERY.sub(r"\1", value))
    if isinstance(value, Mapping):
        return {name: redact(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value

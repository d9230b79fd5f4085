"""Media in job files: a URL, a `data:` URI, or a path, which is relative to the file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar, cast

from ...journal.stored_media import media_from, stored_media
from ...types.media_values import MEDIA_FIELDS, Media, MediaFile

__all__ = ["dumped_media", "path_of", "with_paths"]

P = TypeVar("P", bound=PurePath)


def with_paths(fields: Mapping[str, object], folder: Path | None) -> dict[str, object]:
    """Return fields with media in place of their texts.

    Args:
        fields: as they were read.
        folder: the folder of the job file, to which paths are relative; None is the working directory.
    """
    return {name: _media(value, folder) if name in MEDIA_FIELDS else value for name, value in fields.items()}


def _media(value: object, folder: Path | None) -> object:
    if isinstance(value, (list, tuple)):
        return [_media(one, folder) for one in cast("list[object]", value)]
    if isinstance(value, Mapping):
        return _stored(cast("Mapping[str, Any]", value))
    text = value.strip() if isinstance(value, str) else ""
    if not text or _is_url(text):
        return value
    return path_of(text, Path() if folder is None else folder)


def _is_url(text: str) -> bool:
    return "://" in text or text.startswith("data:")


def path_of(text: str, folder: P) -> P:
    """Return the path of a text; one that begins with `~` is in the home directory, and not in the folder."""
    path = type(folder)(text)
    return path if text.startswith("~") else folder / path


def _stored(value: Mapping[str, Any]) -> object:
    """Return the media of an object that `dumped_media` wrote; anything else as it is, for the type check to name."""
    try:
        if "media" in value:
            facts = dict(value["media"])
            path = facts.pop("path", None)
            return MediaFile(**facts, source=None if path is None else Path(path))
        return value["url"] if "url" in value else media_from(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return value


def dumped_media(value: object) -> object:
    """Return media as JSON from which the same media are read: a file by its path and its hash, bytes by themselves."""
    if isinstance(value, tuple):
        return [dumped_media(one) for one in cast("tuple[Media, ...]", value)]
    if isinstance(value, str) and not _is_url(value):
        return {"url": value}  # as text it would be read as a path
    if isinstance(value, bytes):
        return f"data:;base64,{b64encode(value).decode('ascii')}"
    if isinstance(value, MediaFile) and isinstance(value.source, bytes):
        return f"data:{value.mime};base64,{b64encode(value.source).decode('ascii')}"
    if isinstance(value, MediaFile):
        stored = cast("Mapping[str, Mapping[str, object]]", stored_media(value))
        return {"media": {**stored["media"], **({} if value.source is None else {"path": str(value.source)})}}
    return str(value) if isinstance(value, PurePath) else stored_media(value)

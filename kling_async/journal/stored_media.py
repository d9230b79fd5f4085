"""Media in a journal: local ones by the hash of their content, and outputs by their prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..types.media_values import Media, MediaFile
from ..types.prediction import Json, Output, OutputKind, OutputSource

__all__ = ["media_from", "stored_media"]


def stored_media(value: object) -> object:
    """Return the stored form of media; any other value as it is."""
    if isinstance(value, bytes):
        raise TypeError("media are read before their job is written down")
    if isinstance(value, MediaFile):
        facts = {"name": value.name, "sha256": value.sha256, "size": value.size, "mime": value.mime}
        size = {} if value.width is None else {"width": value.width, "height": value.height}
        seconds = {} if value.seconds is None else {"seconds": value.seconds}
        return {"media": facts | size | seconds}
    if isinstance(value, Output):
        kept: dict[str, Json] = {"url": value.url, "kind": value.kind.value}
        if (source := value.source) is not None:
            kept |= {"provider": source.provider, "model": source.model, "id": source.id, "index": source.index}
            kept |= {} if source.key is None else {"key": source.key}
        return {"output": kept}
    return value


def media_from(stored: object) -> Media | None:
    """Return media by their stored form. Raises KeyError, TypeError or ValueError if it is malformed."""
    if not isinstance(stored, Mapping):
        return cast("Media | None", stored)
    found = cast("Mapping[str, Mapping[str, Any]]", stored)
    if "media" in found:
        return MediaFile(**found["media"])
    facts = dict(found["output"])
    url, kind = facts.pop("url"), OutputKind(facts.pop("kind"))
    return Output(url=url, kind=kind, source=OutputSource(**facts) if facts else None, is_fetchable=not facts)

"""Rules for media: the ways by which local ones reach a provider, and what a model takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import frozen

from ..types.capabilities import Capabilities
from ..types.errors import InputFault
from ..types.formatting import format_bytes
from ..types.inputs import Input, VideoInput
from ..types.media_headers import MediaKind
from ..types.media_values import Media, MediaFile, file_of, is_local, media_in
from ..types.sources import Source

__all__ = [
    "JPEG_OR_PNG",
    "MP4_OR_MOV",
    "MediaLimits",
    "MediaRules",
    "Way",
    "is_within",
    "kind_of_field",
    "media_faults",
    "videos_last_at_most",
    "way_of",
]

Way: TypeAlias = Literal["upload", "inline", "storage"]
"""How local media reach a provider: by its own upload, inside the request in base64, or by a bucket of the user's."""

MediaRules: TypeAlias = Mapping[MediaKind, "MediaLimits"]

JPEG_OR_PNG: Final = ("image/jpeg", "image/png")
MP4_OR_MOV: Final = ("video/mp4", "video/quicktime")

_KINDS: Final[Mapping[str, MediaKind]] = {"video": "video", "videos": "video", "audios": "audio"}


@frozen(kw_only=True)
class MediaLimits:
    """What a model, or an upload, takes of one kind of media.

    Attributes:
        types: MIME types; empty for any of the kind.
        max_bytes: the maximum size of a file; None where none is documented.
        min_side: the minimum width and height of an image or a video in pixels.
        max_side: the maximum of both.
        max_pixels: the maximum of their product.
        max_ratio: the maximum of width to height, and of height to width.
        seconds: the minimum and the maximum duration of a video or of audio.
        source: where this was read.
    """

    types: tuple[str, ...] = ()
    max_bytes: int | None = None
    min_side: int = 0
    max_side: int | None = None
    max_pixels: int | None = None
    max_ratio: float | None = None
    seconds: tuple[float, float] | None = None
    source: Source

    def problems(self, file: MediaFile) -> Iterator[str]:
        """Yield each limit that a file breaks, as the end of the sentence "the field ..."."""
        if self.types and file.mime not in self.types:
            yield f"is {file.mime}, and must be {' or '.join(self.types)}"
        if self.max_bytes is not None and file.size > self.max_bytes:
            yield f"has {format_bytes(file.size)}, and may have at most {format_bytes(self.max_bytes)}"
        if self.seconds is not None and not is_within(file.seconds, *self.seconds):
            yield f"lasts {file.seconds:.4g} s, and must last {self._seconds_text}"
        if file.width is not None and file.height is not None:
            yield from self._size_problems(file.width, file.height)

    @property
    def _seconds_text(self) -> str:
        least, most = self.seconds or (0, math.inf)
        if not least:
            return f"at most {most:g} s"
        return f"at least {least:g} s" if math.isinf(most) else f"from {least:g} to {most:g} s"

    def _size_problems(self, width: int, height: int) -> Iterator[str]:
        size, short, long = f"{width} x {height} pixels", min(width, height), max(width, height)
        if short < self.min_side:
            yield f"has {size}, and each side must have at least {self.min_side}"
        if self.max_side is not None and long > self.max_side:
            yield f"has {size}, and each side may have at most {self.max_side}"
        if self.max_pixels is not None and width * height > self.max_pixels:
            yield f"has {size}, and may have at most {self.max_pixels:,} of them in all"
        if self.max_ratio is not None and long > self.max_ratio * short:
            yield f"has {size}, and its sides may differ by a factor of at most {self.max_ratio:g}"


_TOLERANCE: Final = 0.05
"""Seconds by which a duration may miss its limit: a video of 10 s has 10.04 with its last frame, and fal's schemas
allow 10.05 where Kling's pages say 10."""


def is_within(seconds: float | None, least: float, most: float) -> bool:
    """Return whether a duration is within limits, or unknown."""
    return seconds is None or least - _TOLERANCE <= seconds <= most + _TOLERANCE


def videos_last_at_most(input: Input, seconds: float) -> bool:
    """Return whether no video of an input is known to last longer."""
    videos = input.all_videos if isinstance(input, VideoInput) else ()
    return all(is_within(one.seconds, 0, seconds) for one in videos if isinstance(one, MediaFile))


def kind_of_field(name: str) -> MediaKind:
    """Return the kind of media that a field takes; its name may have an index, as in `images[1]`."""
    return _KINDS.get(name.partition("[")[0], "image")


def way_of(capabilities: Capabilities, inline: frozenset[MediaKind], kind: MediaKind, *, storage: bool) -> Way | None:
    """Return the first way by which local media of a kind reach a provider; None if there is none.

    Args:
        capabilities: the provider's.
        inline: the kinds that may be inside a request.
        kind: that of the media.
        storage: whether the user has given a bucket.
    """
    if capabilities.upload.value is True:
        return "upload"
    if kind in inline:
        return "inline"
    return "storage" if storage else None


def media_faults(
    input: Input,
    *,
    title: str,
    ways: Mapping[MediaKind, Way | None],
    rules: MediaRules,
    upload: MediaLimits | None = None,
) -> Iterator[InputFault]:
    """Yield the faults of the local media of an input.

    Args:
        input: the input. A file that was not read yet is checked for its way alone.
        title: the provider's name in sentences.
        ways: how each kind of media reaches the provider.
        rules: what the model takes.
        upload: what the provider's own upload takes.
    """
    has_inline = "inline" in ways.values()
    for name, media in media_in(input):
        if not is_local(media):
            continue
        kind = kind_of_field(name)
        if ways[kind] is None:
            yield InputFault(name, _shown(media), _no_way(title, kind, has_inline=has_inline))
        try:
            file = file_of(media)
        except ValueError as error:
            yield InputFault(name, _shown(media), str(error))
            continue
        if file is None:
            continue
        if file.kind != kind:
            yield InputFault(name, _shown(media), f"is {file.mime}, and must be {_ARTICLES[kind]}")
            continue
        if file.mime in _UNDOCUMENTED and kind not in rules:
            yield InputFault(
                name, _shown(media), f"is {file.mime}, which no provider documents: make it a JPEG or a PNG"
            )
            continue
        limits = [rules.get(kind), upload if ways[kind] == "upload" else None]
        for problem in (problem for one in limits if one is not None for problem in one.problems(file)):
            yield InputFault(name, _shown(media), problem)


_UNDOCUMENTED: Final = ("image/heic",)
_ARTICLES: Final = {"image": "an image", "video": "a video", "audio": "audio"}


def _no_way(title: str, kind: MediaKind, *, has_inline: bool) -> str:
    """Return why local media cannot reach a provider, with the three ways that there are."""
    inline = f"{title} documents for other media only" if has_inline else f"{title} does not document"
    return (
        f"is on this machine, and none of three ways leads to {title}: an upload, which {title} does not document; "
        f"base64 inside the request, which {inline}; and a bucket of yours, which is not given "
        f"(storage='s3://bucket/prefix', or --storage). Or put the {kind} where it can be fetched, and give its URL"
    )


def _shown(media: Media) -> object:
    if isinstance(media, MediaFile):
        return media.name
    if isinstance(media, Path):
        return str(media)
    return f"<{len(media):,} bytes>" if isinstance(media, bytes) else media

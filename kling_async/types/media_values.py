"""Media as the fields of an input hold them: URLs, local files, bytes, and outputs of other predictions.

Theory of operation. An input is a value: it opens no file. What is local becomes a `MediaFile` once it was read, before
its job is planned: a hash of the content, and what the checks need to know of it. From then on the content is read
again only to send it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias, TypeVar, cast
from urllib.parse import unquote_to_bytes

from attrs import AttrsInstance, evolve, field, fields, frozen

from .errors import InputError, InputFault
from .media_headers import MediaKind, detect_type, suffix_of
from .media_measures import measure
from .prediction import Output, Prediction

__all__ = [
    "MEDIA_FIELDS",
    "Media",
    "MediaFile",
    "are_media",
    "as_media",
    "as_media_list",
    "decode_data_uri",
    "file_of",
    "is_local",
    "is_optional_media",
    "lacks_content",
    "media_identity",
    "media_in",
    "show_media",
    "with_addresses",
    "with_media",
]


@frozen(kw_only=True)
class MediaFile:
    """Local media that were read once: their content by its hash, and what the checks know of it.

    Attributes:
        name: the file's name, without its folder; for messages, and for the provider.
        sha256: the hash of the content, in hexadecimal.
        size: bytes.
        mime: the MIME type, by the content.
        width: pixels of an image or a video; None where its header does not tell.
        height: as `width`.
        seconds: the duration of a video or of audio; None where its header does not tell.
        source: where the content is; None for media that are known from a journal only.
    """

    name: str
    sha256: str
    size: int
    mime: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    source: Path | bytes | None = field(default=None, repr=False, eq=False)

    @property
    def kind(self) -> MediaKind:
        """Whether it is an image, a video or audio."""
        return cast("MediaKind", self.mime.partition("/")[0])

    @property
    def upload_name(self) -> str:
        """A file name for an upload, from the content: the user's own names are no business of a provider."""
        return f"{self.sha256[:32]}{suffix_of(self.mime)}"


Media: TypeAlias = str | Path | bytes | Output | Prediction | MediaFile
"""What a media field takes: a URL or a `data:` URI, a file, bytes, an output, or a prediction with exactly one."""

MEDIA_FIELDS: Final = ("image", "last_image", "keyframes", "images", "video", "videos", "audios")
"""The fields of inputs that hold media."""

T = TypeVar("T", bound=AttrsInstance)


def as_media(value: object) -> Media | None:
    """Return the only output of a prediction, and anything else as it is, for the type check to name."""
    if isinstance(value, Prediction) and len(value.outputs) == 1:
        return value.outputs[0]
    return cast("Media | None", value)


def as_media_list(values: object) -> tuple[Media, ...]:
    """Return a list as a tuple of media; any other type, a string too, is kept for the type check to name."""
    if isinstance(values, (list, tuple)):
        return tuple(cast("Media", as_media(one)) for one in cast("list[object]", values))
    return cast("tuple[Media, ...]", values)


def is_optional_media(value: object) -> bool:
    """Return whether a value may stand for media, or is None."""
    return value is None or isinstance(value, (str, Path, bytes, Output, MediaFile))


def are_media(value: object) -> bool:
    """Return whether a value is a tuple of media."""
    return isinstance(value, tuple) and all(
        one is not None and is_optional_media(one) for one in cast("tuple[object, ...]", value)
    )


def show_media(value: object) -> str:
    """Return a short text for the repr of an input: bytes may be megabytes long."""
    if isinstance(value, tuple):
        shown = [show_media(one) for one in cast("tuple[object, ...]", value)]
        return f"({', '.join(shown)}{',' * (len(shown) == 1)})"
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if not isinstance(value, str):
        return repr(value)
    # The query of a signed URL opens the file to everybody who reads it.
    place, mark, _ = value.partition("?")
    return repr((place if len(place) <= _SHOWN else place[: _SHOWN - 3] + "...") + (f"{mark}..." if mark else ""))


_SHOWN: Final = 200


@cache
def _media_fields(kind: type[AttrsInstance]) -> tuple[str, ...]:
    names = {one.name for one in fields(kind)}
    return tuple(name for name in MEDIA_FIELDS if name in names)


def media_in(input: AttrsInstance) -> Iterator[tuple[str, Media]]:
    """Yield the media of an input, each with the name of its field; one of several has its index, as in `images[1]`."""
    for name in _media_fields(type(input)):
        value: object = getattr(input, name)
        if isinstance(value, tuple):
            for index, one in enumerate(cast("tuple[Media, ...]", value)):
                yield f"{name}[{index}]", one
        elif value is not None:
            yield name, cast("Media", value)


def with_media(input: T, replaced: Callable[[str, Media], Media]) -> T:
    """Return an input with other media: what a function returns for the name of a field, as `media_in` has it."""
    changes: dict[str, Media | tuple[Media, ...]] = {}
    for name in _media_fields(type(input)):
        value: object = getattr(input, name)
        if isinstance(value, tuple):
            given = cast("tuple[Media, ...]", value)
            changed = tuple(replaced(f"{name}[{index}]", one) for index, one in enumerate(given))
            if any(new is not old for new, old in zip(changed, given, strict=True)):
                changes[name] = changed
        elif value is not None and (one := replaced(name, cast("Media", value))) is not value:
            changes[name] = one
    change = cast("Callable[..., T]", evolve)
    return change(input, **changes) if changes else input


def with_addresses(input: T) -> T:
    """Return an input with an address in the place of each of its media that has none: they do not change a price."""
    return with_media(input, lambda _, one: one if isinstance(one, str) and not is_local(one) else _ANY_ADDRESS)


_ANY_ADDRESS: Final = "https://example.com/media"


def is_local(value: Media) -> bool:
    """Return whether media have to reach the provider from this machine."""
    return isinstance(value, (Path, bytes, MediaFile)) or (isinstance(value, str) and value.startswith("data:"))


def lacks_content(input: AttrsInstance) -> bool:
    """Return whether an input has media that only a journal tells of, which cannot be sent."""
    return any(isinstance(one, MediaFile) and one.source is None for _, one in media_in(input))


def media_identity(value: Media) -> str:
    """Return what stands for media in a fingerprint.

    Local content counts by its hash, and an output by its prediction and its index: addresses of both change. A URL,
    and a `data:` URI, count as 0.1 counted them, by their text.

    Raises:
        InputError: a file was not read yet.
    """
    if isinstance(value, MediaFile):
        return f"sha256:{value.sha256}"
    if isinstance(value, bytes):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, Path):
        fault = InputFault("media", value, "was not read yet, so that nothing is known of its content")
        raise InputError.of("The input has no fingerprint yet", [fault])
    if isinstance(value, Prediction):
        raise InputError.of(
            "The input has no fingerprint", [InputFault("media", value.id, "has not exactly one output")]
        )
    if isinstance(value, Output):
        source = value.source
        return value.url if source is None else f"output:{source.provider}/{source.id}/{source.index}"
    return value


def decode_data_uri(uri: str) -> bytes:
    """Return the content of a `data:` URI (RFC 2397). Raises ValueError if it is malformed."""
    head, comma, body = uri.removeprefix("data:").partition(",")
    if not comma:
        raise ValueError("is no data: URI: it has no comma")
    if not head.lower().rstrip().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(unquote_to_bytes(body), validate=True)
    except binascii.Error as error:
        raise ValueError("is no data: URI with valid base64") from error


def file_of(value: Media) -> MediaFile | None:
    """Return local media whose content is at hand as a file; None for a URL, an output, and a file to be read.

    Raises:
        ValueError: the content is empty, of no known type, or no readable `data:` URI.
    """
    if isinstance(value, str) and value.startswith("data:"):
        return _file_of_bytes(decode_data_uri(value))
    if isinstance(value, bytes):
        return _file_of_bytes(value)
    return value if isinstance(value, MediaFile) else None


def _file_of_bytes(content: bytes) -> MediaFile:
    if not content:
        raise ValueError("is empty")
    kind, digest = detect_type(content), hashlib.sha256(content).hexdigest()
    if kind is None:
        raise ValueError(f"is no image, video or audio of a known type: it begins with {content[:8]!r}")
    measures = measure(lambda at, length: content[at : at + length], len(content))
    return MediaFile(
        name=f"{digest[:12]}{kind.suffix}",
        sha256=digest,
        size=len(content),
        mime=kind.mime,
        width=measures.width,
        height=measures.height,
        seconds=measures.seconds,
        source=content,
    )

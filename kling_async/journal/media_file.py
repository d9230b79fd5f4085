"""The media file beside a journal: what local files were found to be, and where their contents were uploaded to.

It only saves work. A line that is missing or damaged costs a reading or an upload, and nothing else, so that lines are
appended without a flush. A file that was removed since is still known by its hash here, and a rerun of a finished run
needs no more. Addresses with a query are left out: it may be a signature.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from attrs import frozen

from ..types.media_values import MediaFile
from ..types.prediction import Json
from .stored_media import media_from, stored_media

__all__ = ["KnownFile", "MediaRecordFile", "Uploaded"]


@frozen
class KnownFile:
    """A file as it was read.

    Attributes:
        path: its absolute path.
        changed_ns: the time of its last change, in nanoseconds since 1970.
        media: what it was found to be.
    """

    path: str
    changed_ns: int
    media: MediaFile


@frozen
class Uploaded:
    """A content at a provider.

    Attributes:
        account: the provider, the upload origin and a hash of the API key.
        sha256: the hash of the content.
        address: its URL there.
        expires_at: when it is removed, in seconds since 1970.
    """

    account: str
    sha256: str
    address: str
    expires_at: float


class MediaRecordFile:
    """The media file beside a journal. Its methods block on the disk.

    Args:
        journal: the path of the journal.
    """

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(f"{journal.name}.media")

    def read(self) -> Iterator[KnownFile | Uploaded]:
        """Yield the records, the oldest first, and skip what is damaged; nothing if there is no file."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                yield _parsed(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue

    def append(self, record: KnownFile | Uploaded) -> None:
        """Append a record. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self.path, flags, 0o600)  # names of files are private, as prompts are
        try:
            os.write(descriptor, (json.dumps(_fields(record), separators=(",", ":")) + "\n").encode("ascii"))
        finally:
            os.close(descriptor)


def _fields(record: KnownFile | Uploaded) -> dict[str, object]:
    if isinstance(record, KnownFile):
        stored = cast("Mapping[str, object]", stored_media(record.media))
        return {"path": record.path, "changed_ns": record.changed_ns, **stored}
    return {
        "account": record.account,
        "sha256": record.sha256,
        "address": record.address,
        "expires_at": record.expires_at,
    }


def _parsed(fields: Mapping[str, Json]) -> KnownFile | Uploaded:
    if "path" in fields:
        media = media_from({"media": fields["media"]})
        if not isinstance(media, MediaFile) or type(media.size) is not int:
            raise TypeError("no media")
        return KnownFile(_text(fields["path"]), cast("int", fields["changed_ns"]), media)
    expires_at = fields["expires_at"]
    if isinstance(expires_at, bool) or not isinstance(expires_at, (int, float)):
        raise TypeError("no time")
    return Uploaded(_text(fields["account"]), _text(fields["sha256"]), _text(fields["address"]), float(expires_at))


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value

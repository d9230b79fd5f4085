"""Files that were saved, and what is done beside saving them."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from ..transport.object_store import ObjectStore
from ..types.provenance import FileFacts, Provenance

__all__ = ["SavedFile", "SavedObject", "Saving"]


@frozen
class SavedFile:
    """A file that was saved.

    Attributes:
        location: where it is.
        name: its name there.
        sha256: the SHA-256 of its bytes, where it is an object or was inspected.
        facts: its facts, where they were asked for.
    """

    location: Path | str
    name: str
    sha256: str | None = None
    facts: FileFacts | None = None


@frozen
class SavedObject:
    """An output in an object store, by its name there."""

    store: ObjectStore
    name: str


@frozen(kw_only=True)
class Saving:
    """What is done beside saving a file: whether its facts are found, and the provenance to embed where it can be."""

    inspects: bool = False
    embedded: Provenance | None = None

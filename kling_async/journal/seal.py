"""The seal of a closed journal: one digest of the whole file, so that it opens without reading each row.

It is written when a journal is closed, into a row of its own, and compared when it is opened. A file that differs from
its seal is not refused for that, since other tools may write to it as well: its rows and its index are verified one by
one, as are those of a journal that was never closed. The digest is made of the checksums of blocks, which are several
times as fast to make as a digest of the bytes.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from typing import BinaryIO, Final

from attrs import frozen

__all__ = ["SEAL_TABLE", "Seal", "digest_of", "read_seal", "write_seal"]

SEAL_TABLE: Final = "CREATE TABLE seal (number INTEGER PRIMARY KEY, digest BLOB NOT NULL, commits INTEGER NOT NULL);"
_WRITE: Final = "INSERT OR REPLACE INTO seal (number, digest, commits) VALUES (1, ?, ?)"
_BLOCK: Final = 1 << 20
_VOLATILE: Final = ((24, 28), (60, 64), (92, 100))
"""Fields of the header that change with the seal itself, or with the mark of an open journal.

Source: https://www.sqlite.org/fileformat.html, 1.3: change counter, user version, version-valid-for and library.
"""


@frozen
class Seal:
    """What a journal says of itself: a digest of its file, and the number of its newest commit."""

    digest: bytes
    commits: int

    def is_of(self, file: BinaryIO, connection: sqlite3.Connection) -> bool:
        """Return whether a journal's file is as it was when it was closed. Raises OSError if it cannot be read."""
        return self.digest == digest_of(file, connection, commits=self.commits)


def read_seal(connection: sqlite3.Connection) -> Seal | None:
    """Return the seal of a journal; None without one."""
    found: tuple[object, object] | None = connection.execute("SELECT digest, commits FROM seal").fetchone()
    match found:
        case (bytes(digest), int(commits)):
            return Seal(digest, commits)
        case _:
            return None


def write_seal(connection: sqlite3.Connection, seal: Seal) -> None:
    """Write a seal into its row: only the page of that row and the header change."""
    connection.execute(_WRITE, (seal.digest, seal.commits))


def digest_of(file: BinaryIO, connection: sqlite3.Connection, *, commits: int) -> bytes:
    """Return the digest of a journal's file without the page of the seal and the volatile fields of the header.

    Args:
        file: the file, which is opened for this with nothing in a log beside it.
        connection: a connection to it.
        commits: the number of its newest commit.

    Raises:
        OSError: it cannot be read.
    """
    [[page]] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'seal'")
    [[size]] = connection.execute("PRAGMA page_size")
    digest = blake2b(b"%d" % commits, digest_size=16)
    file.seek(0)
    head = bytearray(file.read(size))
    for start, end in _VOLATILE:
        head[start:end] = bytes(end - start)
    digest.update(head)
    for block in _blocks(file, start=size, end=(page - 1) * size):
        digest.update(zlib.crc32(block).to_bytes(4, "big"))
    for block in _blocks(file, start=page * size, end=None):
        digest.update(zlib.crc32(block).to_bytes(4, "big"))
    digest.update(b"%d" % file.tell())
    return digest.digest()


def _blocks(file: BinaryIO, *, start: int, end: int | None) -> Iterator[bytes]:
    file.seek(start)
    while block := file.read(_BLOCK if end is None else min(_BLOCK, end - file.tell())):
        yield block

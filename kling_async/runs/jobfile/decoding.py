"""Decode the lines of a job file; a wrong byte is a fault of its line.

UTF-8 is read line by line. Any other encoding is named by the caller, or by a byte order mark, and is decoded in
pieces, since a line end may be more than one byte there.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from ...types.errors import InputError, InputFault

__all__ = ["LineReader"]

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOK: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of .xlsx and .ods (ZIP archives) and of .xls (an OLE file)."""
_ADVICE: Final = 'name the encoding with --encoding, such as cp1252 or cp1251, or save it as "CSV UTF-8"'


class LineReader:
    """Iterates over decoded lines and counts them; a wrong byte is recorded as a fault and replaced.

    Args:
        lines: the lines, as bytes if they are to be decoded here.
        encoding: the name of their encoding; None is UTF-8, or what a byte order mark says.

    Attributes:
        line: number of the last line, from 1.
        faults: those found since the last `take_faults`.

    Raises:
        InputError: there is no encoding of that name.
    """

    def __init__(self, lines: Iterable[bytes] | Iterable[str], *, encoding: str | None = None) -> None:
        self._lines: Iterator[bytes | str] = iter(lines)
        self.line = 0
        self.faults: list[InputFault] = []
        if encoding is not None and _checked(encoding) != "utf-8":
            self._lines = self._in_pieces(self._lines, encoding)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if self.line == 0 and isinstance(line, bytes) and line.startswith(_UTF16):
            self._lines = self._in_pieces(chain([line], self._lines), "utf-16")
            line = next(self._lines)
        self.line += 1
        text = line if isinstance(line, str) else self._decoded(line)
        return text.removeprefix("\ufeff") if self.line == 1 else text

    def _decoded(self, line: bytes) -> str:
        if self.line == 1 and line.startswith(_WORKBOOK):
            self._lines = iter(())
            advice = "is a workbook: its name must end in .xlsx, .xls or .ods"
            self.faults.append(InputFault("format", None, advice))
            return ""
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = line[error.start : error.start + 1].hex()
            problem = f"must be UTF-8, but byte {error.start + 1} is 0x{wrong}; {_ADVICE}"
            self.faults.append(InputFault("encoding", None, problem))
            return line.decode("utf-8", "replace")

    def _in_pieces(self, pieces: Iterator[bytes | str], encoding: str) -> Iterator[str]:
        """Yield lines of another encoding, with their ends."""
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        rest = ""
        for piece in pieces:
            text = rest + (piece if isinstance(piece, str) else decoder.decode(piece))
            *lines, rest = text.split("\n")
            yield from (self._whole(f"{line}\n", encoding) for line in lines)
        if rest := rest + decoder.decode(b"", final=True):
            yield self._whole(rest, encoding)

    def _whole(self, line: str, encoding: str) -> str:
        if "\ufffd" in line:
            problem = f"is not {encoding}: character {line.index(chr(0xFFFD)) + 1} cannot be read"
            self.faults.append(InputFault("encoding", None, problem))
        return line

    def take_faults(self) -> list[InputFault]:
        """Return the faults recorded since the last call."""
        faults, self.faults = self.faults, []
        return faults

    def peek(self) -> str:
        """Return the first non-blank line without consuming it."""
        taken: list[bytes | str] = []
        for line in self._lines:
            taken.append(line)
            if line.strip():
                break
        self._lines = chain(taken, self._lines)
        first = taken[-1] if taken else ""
        if isinstance(first, bytes):
            first = first.decode("utf-16" if first.startswith(_UTF16) else "utf-8", "replace")
        return first.removeprefix("\ufeff")


def _checked(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        fault = InputFault("encoding", encoding, "must be the name of an encoding, such as cp1252, cp1251 or utf-16")
        raise InputError.of("Unknown encoding", [fault]) from error

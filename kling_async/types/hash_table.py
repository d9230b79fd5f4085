"""Compact hash tables: a million keys in some 25 MB, where a dict of str and int needs eight times as much.

Theory of operation. Open addressing with linear probing, in two arrays: 64-bit keys, and 32-bit values. A text is
represented by a hash of 64 bits, so two texts may be taken for one: among a million the chance is one to 37 million.
"""

from __future__ import annotations

from array import array
from typing import Final

__all__ = ["IntTable", "KeySet", "hash_of"]

_FIRST_SIZE: Final = 1024
_MAX_LOAD: Final = 0.6
_BITS: Final = (1 << 64) - 1
_SPREAD: Final = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: multiplication spreads keys that lie close together (Knuth, TAOCP 3, 6.4)."""


class IntTable:
    """A mapping from positive integers of 64 bits to integers of 32 bits."""

    def __init__(self) -> None:
        self._keys = array("Q", bytes(8 * _FIRST_SIZE))
        self._values = array("I", bytes(4 * _FIRST_SIZE))
        self._shift = 64 - (_FIRST_SIZE.bit_length() - 1)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: int) -> bool:
        return self._keys[self._slot(key)] != 0

    def get(self, key: int) -> int | None:
        """Return the value of a key, or None."""
        slot = self._slot(key)
        return self._values[slot] if self._keys[slot] else None

    def setdefault(self, key: int, value: int) -> int:
        """Return the value of a key, which is set first if it has none."""
        slot = self._slot(key)
        if self._keys[slot]:
            return self._values[slot]
        self._insert(slot, key, value)
        return value

    def increment(self, key: int) -> int:
        """Add one to the value of a key, which begins with 0; return the value before."""
        slot = self._slot(key)
        if not self._keys[slot]:
            self._insert(slot, key, 1)
            return 0
        self._values[slot] += 1
        return self._values[slot] - 1

    def _slot(self, key: int) -> int:
        """Return the slot of a key, or the empty one where it belongs."""
        keys = self._keys
        slot = ((key * _SPREAD) & _BITS) >> self._shift
        last = len(keys) - 1
        while (found := keys[slot]) and found != key:
            slot = slot + 1 if slot < last else 0
        return slot

    def _insert(self, slot: int, key: int, value: int) -> None:
        self._keys[slot] = key
        self._values[slot] = value
        self._count += 1
        if self._count > _MAX_LOAD * len(self._keys):
            self._grow()

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys = array("Q", bytes(16 * len(keys)))
        self._values = array(values.typecode, bytes(8 * len(keys)))
        self._shift -= 1
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot] = key
                self._values[slot] = value


class KeySet:
    """A set of texts, of which only hashes are kept."""

    def __init__(self) -> None:
        self._table = IntTable()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and hash_of(key) in self._table

    def add(self, key: str) -> bool:
        """Add a text, and return whether it is a new one."""
        return self._table.increment(hash_of(key)) == 0


def hash_of(text: str) -> int:
    """Return a hash of a text, positive and of 64 bits; it differs from process to process."""
    return hash(text) & _BITS or 1

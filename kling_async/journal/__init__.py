"""Journals of submissions: the interface, one in a file, and one in memory."""

from __future__ import annotations

from .base import Journal
from .memory import MemoryJournal
from .sqlite import SqliteJournal

__all__ = ["Journal", "MemoryJournal", "SqliteJournal"]

"""Sheets of jobs: lines of JSONL or CSV, read without loss and without a network, and told what is wrong with them."""

from __future__ import annotations

from .rows import Row, SheetFault, json_line, line_of, read_sheet
from .survey import Survey

__all__ = ["Row", "SheetFault", "Survey", "json_line", "line_of", "read_sheet"]

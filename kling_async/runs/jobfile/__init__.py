"""Job files: JSONL, CSV or a workbook with one job per row, read and checked without a network."""

from __future__ import annotations

from .rows import JobfileFault, Row, dump_job, json_line, read_jobfile
from .summary import JobfileSummary
from .tables import CellRow, TableFormat

__all__ = ["CellRow", "JobfileFault", "JobfileSummary", "Row", "TableFormat", "dump_job", "json_line", "read_jobfile"]

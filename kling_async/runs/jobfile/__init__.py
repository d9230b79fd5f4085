"""Job files: JSONL or CSV with one job per line, read and checked without a network."""

from __future__ import annotations

from .rows import JobfileFault, Row, dump_job, json_line, read_jobfile
from .summary import JobfileSummary

__all__ = ["JobfileFault", "JobfileSummary", "Row", "dump_job", "json_line", "read_jobfile"]

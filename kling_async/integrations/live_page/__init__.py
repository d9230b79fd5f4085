"""A live page of a run, served to a browser on this machine. The extra `cli` has what it needs."""

from __future__ import annotations

from .database_run import DatabaseRun
from .directory_run import DirectoryRun
from .server import serve_page

__all__ = ["DatabaseRun", "DirectoryRun", "serve_page"]

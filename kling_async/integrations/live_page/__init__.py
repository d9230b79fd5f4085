"""A live page of a run, served to a browser on this machine. The extra `cli` has what it needs."""

from __future__ import annotations

from .server import serve

__all__ = ["serve"]

"""A server of the Model Context Protocol: image and video generation as tools for agents, within a budget."""

from __future__ import annotations

from .server import build_server, serve

__all__ = ["build_server", "serve"]

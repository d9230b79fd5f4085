"""A panel that shows how a batch is getting on."""

from __future__ import annotations

from .panel import Display, Mode, Panel, mode_for, progress

__all__ = ["Display", "Mode", "Panel", "mode_for", "progress"]

"""Show the progress of a batch."""

from __future__ import annotations

from .display import Display, Mode, ProgressDisplay, mode_for, show_progress

__all__ = ["Display", "Mode", "ProgressDisplay", "mode_for", "show_progress"]

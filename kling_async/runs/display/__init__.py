"""Show the progress of a batch."""

from __future__ import annotations

from .progress_display import Display, Mode, ProgressDisplay, mode_for, show_progress

__all__ = ["Display", "Mode", "ProgressDisplay", "mode_for", "show_progress"]

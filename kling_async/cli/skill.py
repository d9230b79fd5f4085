"""`kling-async skill`: print what an agent has to know to use this program."""

from __future__ import annotations

from importlib.resources import files

from .console import ExitCode, write_result

__all__ = ["skill"]


def skill() -> int:
    """Print a SKILL.md for agents: how to use this program, and how not to pay twice.

    Such as: kling-async skill > .claude/skills/kling-async/SKILL.md
    """
    write_result(files("kling_async.cli").joinpath("SKILL.md").read_text(encoding="utf-8").rstrip("\n"))
    return ExitCode.DONE

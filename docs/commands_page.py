"""Write the page of commands from the program itself, so that the two cannot differ."""

from __future__ import annotations

from pathlib import Path

from kling_async.cli import build_app

__all__ = ["write_commands_page"]

_HEAD = """\
# Commands

Every command with every option, as in `kling-async COMMAND --help`. This page is generated from the program.
[The command line](../howto/command_line.md) explains their use.

"""


def write_commands_page(path: Path) -> None:
    """Write the page about every command and option."""
    text = build_app().generate_docs()
    # The program's own head and its two tables of contents are left out; the page has one in its sidebar.
    commands = text[text.index("## kling-async ") :]
    path.write_text(_HEAD + commands, encoding="utf-8")

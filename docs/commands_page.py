"""Writes the page of commands from the program itself, so that the page cannot name an option that is not there."""

from __future__ import annotations

from pathlib import Path

from kling_async.cli import build_app

__all__ = ["write_commands_page"]

_HEAD = """\
# Commands

Every command with every option, as `kling-async COMMAND --help` shows them. This page is made from the program.
[The command line](../howto/command_line.md) tells what they are for.

"""


def write_commands_page(path: Path) -> None:
    """Write the page about every command and option."""
    told = build_app().generate_docs()
    # The program's own head and its two tables of contents are left out; the page has one at its side.
    commands = told[told.index("## kling-async ") :]
    path.write_text(_HEAD + commands, encoding="utf-8")

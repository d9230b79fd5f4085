"""Write the page of commands from the program itself, so that the two cannot differ."""

from __future__ import annotations

import re
from pathlib import Path

from kling_async.cli import build_app

__all__ = ["write_commands_page"]

_HEAD = """\
# Commands

Every command with every option, as in `kling-async COMMAND --help`. This page is generated from the program.
[The command line](../howto/command_line.md) explains their use.

"""


# Into this usage cyclopts writes how Python was started, such as `-m pytest`, which would differ from build to build.
_STARTED_BY = re.compile(r"^(kling-async --install-completion) .*\[OPTIONS\]$", re.MULTILINE)


def write_commands_page(path: Path) -> None:
    """Write the page about every command and option."""
    text = build_app().generate_docs()
    # The program's own head and its two tables of contents are left out; the page has one in its sidebar.
    commands = text[text.index("## kling-async ") :]
    path.write_text(_HEAD + _STARTED_BY.sub(r"\1 [OPTIONS]", commands), encoding="utf-8")

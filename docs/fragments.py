"""Write the Python blocks of the pages as modules, so that type checkers read them.

Programs of docs/examples are checked as they are, and shown in the pages byte for byte. All other blocks are fragments:
they await outside of functions, and use a client or jobs that the text speaks of. Here each becomes an asynchronous
function, below the declarations of these names. `python docs/fragments.py FOLDER` writes a module for each page; the
session `types` of nox checks them.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import kling_async

__all__ = ["DECLARED", "fragments", "module", "write_fragments"]

DOCS = Path(__file__).resolve().parent
_BLOCK = re.compile(
    r"(?P<marker>^<!-- docs/examples/\S+.*? -->\n)?^(?P<indent> *)```python\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_HEAD = f"""\
# pyright: reportUnusedVariable=false, reportUnusedExpression=false, reportUnusedImport=false
# pyright: reportUnusedClass=false, reportUnusedFunction=false, reportRedeclaration=false
from __future__ import annotations

import asyncio
import hmac
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from starlette.responses import Response

from kling_async import {", ".join(sorted(kling_async.__all__))}
from kling_async.providers import Provider
from kling_async.testing import Fixed, ProviderSuite, Sandbox, Uniform, WebhookDelivery


class Writer(Protocol):
    async def write(self, data: bytes) -> None: ...


"""

DECLARED: Mapping[str, str] = {
    "DATABASE": "str",
    "batch": "Batch",
    "body": "bytes",
    "client": "Client",
    "headers": "Mapping[str, str]",
    "input": "ImageInput",
    "inputs": "list[ImageInput]",
    "jobs": "list[Job]",
    "pandas": "Any",
    "prediction": "Prediction",
    "receiver": "WebhookReceiver",
    "response": "Writer",
}
"""What the text around a fragment speaks of, by its type."""
_OF_PAGE: Mapping[str, Mapping[str, str]] = {"docs/howto/progress.md": {"jobs": "Callable[[], Iterable[Job]]"}}
"""Names that a page uses for something else."""
_CELLS = "docs/examples/notebook.py"


def fragments(text: str) -> Iterator[tuple[int, str]]:
    """Yield each block of Python on a page that is no program of docs/examples, with the number of its first line."""
    for found in _BLOCK.finditer(text):
        if not found["marker"]:
            lines = [line.removeprefix(found["indent"]) for line in found["text"].splitlines()]
            yield text.count("\n", 0, found.start("text")) + 1, "\n".join(lines)


def module(name: str, text: str) -> str:
    """Return a module with the fragments of a page; an empty text if it has none."""
    declared = {**DECLARED, **_OF_PAGE.get(name, {})}
    functions = [_function(line, block) for line, block in fragments(text)]
    names = "".join(f"{one}: {kind}\n" for one, kind in declared.items())
    return f"{_HEAD}{names}{''.join(functions)}" if functions else ""


def _function(line: int, block: str) -> str:
    body = textwrap.indent(block, "    ")
    end = "" if body.rpartition("\n")[2].startswith("    return ") else "    return None\n"
    return f"\n\nasync def line_{line}() -> object:\n{body}\n{end}"


def write_fragments(folder: Path) -> None:
    """Write a module for each page with fragments, and one for the cells of the notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for path in (*sorted(DOCS.parent.glob("*.md")), *sorted(DOCS.rglob("*.md"))):
        name = path.relative_to(DOCS.parent).as_posix()
        if made := "" if "_build" in name else module(name, path.read_text(encoding="utf-8")):
            (folder / f"page_{re.sub(r'[/.]', '_', name)}.py").write_text(made, encoding="utf-8")
    cells = (DOCS.parent / _CELLS).read_text(encoding="utf-8")
    (folder / "cells_of_the_notebook.py").write_text(_HEAD + _function(1, cells), encoding="utf-8")


if __name__ == "__main__":
    write_fragments(Path(sys.argv[1]))

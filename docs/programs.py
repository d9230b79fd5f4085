"""Copies the programs of docs/examples into the pages, so that a reader of the Markdown files sees them.

Above a block of a page a comment names its file, and may choose a run of its lines: from the first line that contains
one text, up to the line before the next one that contains another.

    <!-- docs/examples/errors.py from "async def attempt" before "async def main" -->

`python docs/programs.py` updates the pages. A test holds that there is nothing to update.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["pages", "update"]

DOCS = Path(__file__).resolve().parent
_PROGRAM = re.compile(
    r'(?P<marker><!-- docs/examples/(?P<name>\S+\.py)(?: from "(?P<first>.+?)")?(?: before "(?P<end>.+?)")? -->\n)'
    r"```python\n.*?^```$",
    re.DOTALL | re.MULTILINE,
)


def pages() -> Iterator[Path]:
    """Yield the Markdown files that may contain programs."""
    yield from DOCS.parent.glob("*.md")
    yield from (path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts)


def update(text: str, examples: Path = DOCS / "examples") -> str:
    """Return a page with the present text of each program. Raises StopIteration if a chosen line is missing."""

    def block(found: re.Match[str]) -> str:
        source = (examples / found["name"]).read_text(encoding="utf-8")
        return f"{found['marker']}```python\n{_cut(source, found['first'], found['end'])}\n```"

    return _PROGRAM.sub(block, text)


def _cut(source: str, first: str | None, end: str | None) -> str:
    lines = source.splitlines()
    if first:
        lines = lines[next(at for at, line in enumerate(lines) if first in line) :]
    if end:
        lines = lines[: next(at for at, line in enumerate(lines) if at and end in line)]
    return "\n".join(lines).strip("\n")


if __name__ == "__main__":
    for page in pages():
        before = page.read_text(encoding="utf-8")
        if (after := update(before)) != before:
            page.write_text(after, encoding="utf-8")

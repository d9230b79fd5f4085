"""Writes llms.txt and llms-full.txt (llmstxt.org) from the pages: a list of them, and all of them in one file.

What the index lists is what they hold, in its order. Examples that a page shows by name are put in their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

__all__ = ["write_llms"]

_TOCTREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
_INCLUDE = re.compile(r"```\{(literalinclude|include)\} (\S+)\n(.*?)```", re.DOTALL)
_ALSO = {"reference/SECURITY": "Optional", "reference/CONTRIBUTING": "Optional", "reference/changelog": "Optional"}
"""Pages that may be left out where room is short; the format has a heading for them."""


class _Page(NamedTuple):
    caption: str
    name: str
    text: str

    @property
    def title(self) -> str:
        return re.search(r"^# (.+)$", self.text, re.MULTILINE)[1]  # type: ignore[index]  # a page has a title

    @property
    def summary(self) -> str:
        """The first sentence of prose, without marks of links and emphasis."""
        after = re.sub(r"(?m)^```.*?^```$", "", self.text.partition(f"# {self.title}\n")[2], flags=re.DOTALL)
        prose = next(" ".join(block.split()) for block in re.split(r"\n\s*\n", after) if block.strip())
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", prose).replace("**", "")
        return re.split(r"(?<=\.) ", plain)[0].rstrip(":")


def write_llms(docs: Path, target: Path) -> None:
    """Write both files into a folder, from the folder of the pages."""
    index = (docs / "index.md").read_text(encoding="utf-8")
    head = _Page("", "index", index)
    pages = list(_pages(docs, index))
    lead = " ".join(index.partition("\n\n")[2].partition("\n\n")[0].split())
    lines, caption = [f"# {head.title}\n", f"> {lead}"], ""
    for page in sorted(pages, key=lambda page: page.caption == "Optional"):
        if page.caption != caption:
            caption = page.caption
            lines.append(f"\n## {caption}\n")
        lines.append(f"- [{page.title}]({page.name}.html): {page.summary}")
    (target / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = [
        f"<!-- {page.name} -->\n\n{page.text.strip()}\n"
        for page in [head._replace(text=_filled(_TOCTREE.sub("", index), docs)), *pages]
    ]
    (target / "llms-full.txt").write_text("\n".join(whole), encoding="utf-8")


def _pages(docs: Path, index: str) -> Iterator[_Page]:
    for block in _TOCTREE.findall(index):
        caption = re.search(r"^:caption: (.+)$", block, re.MULTILINE)[1]
        for name in re.findall(r"^(\w\S*)$", block, re.MULTILINE):
            path = docs / f"{name}.md"
            yield _Page(_ALSO.get(name, caption), name, _filled(path.read_text(encoding="utf-8"), path.parent))


def _filled(text: str, folder: Path) -> str:
    def shown(found: re.Match[str]) -> str:
        kind, name, options = found.groups()
        source = (folder / name).read_text(encoding="utf-8")
        if kind == "include":
            return source.rstrip()
        language = {".py": "python", ".csv": "text"}.get(Path(name).suffix, "")
        return f"```{language}\n{_cut(source, options)}\n```"

    return _INCLUDE.sub(shown, text)


def _cut(source: str, options: str) -> str:
    """Cut lines out as Sphinx does: from a line that holds one text, up to a line that holds another."""
    asked = {name: value.strip('"') for name, value in re.findall(r"^:([a-z-]+): *(.*)$", options, re.MULTILINE)}
    lines = source.splitlines()
    for name, skipped in (("start-at", 0), ("start-after", 1)):
        if name in asked:
            lines = lines[next(at for at, line in enumerate(lines) if asked[name] in line) + skipped :]
    if "end-before" in asked:
        lines = lines[: next(at for at, line in enumerate(lines) if at and asked["end-before"] in line)]
    text = "\n".join(lines).strip("\n")
    return dedent(text) if "dedent" in asked else text

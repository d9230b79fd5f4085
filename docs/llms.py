"""Write llms.txt and llms-full.txt (llmstxt.org) from the pages: a list of them, and all of them in one file.

They contain the pages of the index, in its order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["write_llms"]

_TOCTREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
_INCLUDE = re.compile(r"```\{include\} (\S+)\n```")
_COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
_ALSO = {"reference/SECURITY": "Optional", "reference/CONTRIBUTING": "Optional", "reference/changelog": "Optional"}
"""Pages that may be left out of a short context; the format has a heading for them."""


class _Page(NamedTuple):
    caption: str
    name: str
    text: str

    @property
    def title(self) -> str:
        return re.search(r"^# (.+)$", self.text, re.MULTILINE)[1]  # type: ignore[index]  # a page has a title

    @property
    def summary(self) -> str:
        """The first sentence of prose, without the markup of links and emphasis."""
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
    """Return a page with the files that it includes, and without the comments above its programs."""
    included = _INCLUDE.sub(lambda found: (folder / found[1]).read_text(encoding="utf-8").rstrip(), text)
    return _COMMENT.sub("", included)

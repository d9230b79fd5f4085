"""The files for language models contain all pages."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from ..conftest import load_from_docs

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def llms() -> ModuleType:
    """Load the generator, which is beside the pages."""
    return load_from_docs("llms.py")


def write_pages(folder: Path, **pages: str) -> Path:
    """Write pages into a folder; two underscores of a name mean a slash."""
    for name, text in pages.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


INDEX = """# Paws

It makes
paws.

```{toctree}
:hidden:
:caption: How to

howto/walk
```

```{toctree}
:caption: Project

reference/changelog
```
"""
WALK = """# Walk

<!-- docs/examples/walk.py -->
```python
def walk():
    feet.move()
```

Put **one** [foot](run.md) forward, v1.2 that is. Then the other.
"""


def test_pages_are_listed_as_the_index_lists_them(llms: ModuleType, tmp_path: Path) -> None:
    """Title and lead, then each page under its caption, with its first sentence; minor pages are optional."""
    write_pages(tmp_path, index=INDEX, howto__walk=WALK, reference__changelog="# Changelog\n\nWhat is new.\n")
    llms.write_llms(tmp_path, tmp_path)
    assert (tmp_path / "llms.txt").read_text() == (
        "# Paws\n\n> It makes paws.\n"
        "\n## How to\n\n- [Walk](howto/walk.html): Put one foot forward, v1.2 that is.\n"
        "\n## Optional\n\n- [Changelog](reference/changelog.html): What is new.\n"
    )
    whole = (tmp_path / "llms-full.txt").read_text()
    assert "# Walk\n\n```python\ndef walk():\n    feet.move()\n```\n\nPut **one**" in whole
    assert "toctree" not in whole


def test_every_page_of_ours_is_there(llms: ModuleType, tmp_path: Path) -> None:
    """All pages are in both files, including generated ones, and each program is in the second."""
    made = {"reference/faults": "# Faults\n\nOne.\n", "reference/models": "# Models\n\nTwo.\n"}
    docs = tmp_path / "docs"
    for path in (*DOCS.glob("*.md"), *DOCS.glob("[!_]*/**/*.md"), *DOCS.parent.glob("*.md")):
        copy = docs.parent / path.relative_to(DOCS.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    write_pages(docs, **{name.replace("/", "__"): text for name, text in made.items()})
    llms.write_llms(docs, tmp_path)
    listed, whole = ((tmp_path / name).read_text(encoding="utf-8") for name in ("llms.txt", "llms-full.txt"))
    names = re.findall(r"\]\((\S+)\.html\): \S", listed)
    assert sorted(f"{name}.md" for name in names) == sorted(
        path.relative_to(docs).as_posix() for path in docs.glob("*/**/*.md")
    )
    assert all(f"<!-- {name} -->\n\n" in whole for name in ["index", *names])
    assert "{include}" not in whole
    assert "await client.generate(ImageInput(" in whole
    assert all(path.read_text(encoding="utf-8").strip() in whole for path in DOCS.glob("examples/first_*.py"))
    assert re.findall(r"^## (.+)$", listed, re.MULTILINE) == [
        "First steps",
        "Run jobs",
        "Money and limits",
        "Media and storage",
        "Apps and agents",
        "Scripts and environments",
        "Many machines",
        "Test and extend",
        "Reference",
        "Explanation",
        "Optional",
    ]

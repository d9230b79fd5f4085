"""What is written for language models says all that the pages say."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from ..conftest import load_from_docs

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def llms() -> ModuleType:
    """Load the generator, which lies beside the pages."""
    return load_from_docs("llms.py")


def lay(folder: Path, **pages: str) -> Path:
    """Write pages into a folder; two underscores of a name stand for a slash."""
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

```{literalinclude} ../walk.py
:start-at: def walk
:end-before: "# end"
```

Put **one** [foot](run.md) forward, v1.2 that is. Then the other.
"""


def test_pages_are_listed_as_the_index_lists_them(llms: ModuleType, tmp_path: Path) -> None:
    """Title and lead, then each page under its caption, with its first sentence; lesser pages are optional."""
    lay(tmp_path, index=INDEX, howto__walk=WALK, reference__changelog="# Changelog\n\nWhat is new.\n")
    (tmp_path / "walk.py").write_text("import feet\n\n\ndef walk():\n    feet.move()\n\n\n# end\nwalk()\n")
    llms.write_llms(tmp_path, tmp_path)
    assert (tmp_path / "llms.txt").read_text() == (
        "# Paws\n\n> It makes paws.\n"
        "\n## How to\n\n- [Walk](howto/walk.html): Put one foot forward, v1.2 that is.\n"
        "\n## Optional\n\n- [Changelog](reference/changelog.html): What is new.\n"
    )
    whole = (tmp_path / "llms-full.txt").read_text()
    assert "```python\ndef walk():\n    feet.move()\n```\n\nPut **one**" in whole
    assert "toctree" not in whole


def test_every_page_of_ours_is_there(llms: ModuleType, tmp_path: Path) -> None:
    """All pages stand in both files, those included that the build makes, and no example is left out."""
    made = {"reference/faults": "# Faults\n\nOne.\n", "reference/models": "# Models\n\nTwo.\n"}
    docs = tmp_path / "docs"
    for path in (
        *DOCS.glob("*.md"),
        *DOCS.glob("[!_]*/**/*.md"),
        *DOCS.glob("examples/*.py"),
        *DOCS.parent.glob("*.md"),
    ):
        copy = docs.parent / path.relative_to(DOCS.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    lay(docs, **{name.replace("/", "__"): text for name, text in made.items()})
    llms.write_llms(docs, tmp_path)
    listed, whole = ((tmp_path / name).read_text(encoding="utf-8") for name in ("llms.txt", "llms-full.txt"))
    names = re.findall(r"\]\((\S+)\.html\): \S", listed)
    assert sorted(f"{name}.md" for name in names) == sorted(
        path.relative_to(docs).as_posix() for path in docs.glob("*/**/*.md")
    )
    assert all(f"<!-- {name} -->\n\n" in whole for name in ["index", *names])
    assert "literalinclude" not in whole
    assert "await client.generate(ImageInput(" in whole
    assert re.findall(r"^## (.+)$", listed, re.MULTILINE) == [
        "Tutorial",
        "How to",
        "Reference",
        "Explanation",
        "Optional",
    ]

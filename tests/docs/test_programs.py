"""The programs in the pages are those that the tests run, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from ..conftest import load_from_docs

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
MARKER = re.compile(r'^<!-- docs/examples/(\S+?)( from ".+?")?( before ".+?")? -->$', re.MULTILINE)

PROGRAM = '"""Walk."""\n\nimport feet\n\n\ndef walk() -> None:\n    feet.move()\n\n\n# end\nwalk()\n'
PAGE = """# Walk

<!-- docs/examples/walk.py -->
```python
"the old text"
```

And a part:

<!-- docs/examples/walk.py from "def walk" before "# end" -->
```python
```

A block without a comment is left alone:

```python
walk()
```
"""


@pytest.fixture(scope="module")
def programs() -> ModuleType:
    """Load the generator, which is beside the pages."""
    return load_from_docs("programs.py")


def pages(programs: ModuleType) -> dict[str, str]:
    """Return the text of each page that may contain programs."""
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in programs.pages()}


def test_every_program_is_the_file(programs: ModuleType) -> None:
    """Each block with a comment above it is its file, or the run of lines that the comment names."""
    assert [name for name, text in pages(programs).items() if programs.update(text) != text] == []


def test_every_comment_has_its_block(programs: ModuleType) -> None:
    """A comment that names a program is followed by a block of Python, and names a file that exists."""
    for name, text in pages(programs).items():
        for found in MARKER.finditer(text):
            assert text[found.end() :].startswith("\n```python\n"), f"{name}: {found[0]}"
            assert (EXAMPLES / found[1]).is_file(), f"{name}: {found[0]}"


def test_every_program_is_on_a_page(programs: ModuleType) -> None:
    """Each file of docs/examples is readable in a Markdown file, and none is included by a directive."""
    texts = pages(programs).values()
    shown = {found[1] for text in texts for found in MARKER.finditer(text)}
    assert shown == {path.name for path in EXAMPLES.glob("*.py")}
    assert not any("{literalinclude}" in text for text in texts)


def test_a_block_that_differs_is_noticed(programs: ModuleType) -> None:
    """Negative control: one changed byte of one block of a page is found, and undone."""
    text = (ROOT / "docs/tutorial/first_image.md").read_text(encoding="utf-8")
    changed = text.replace("async with Client()", "async with  Client()", 1)
    assert changed != text
    assert programs.update(changed) == text


def test_a_program_or_a_part_of_it_is_inserted(programs: ModuleType, tmp_path: Path) -> None:
    """A whole file, or its lines from one text up to another, without blank lines at the ends."""
    (tmp_path / "walk.py").write_text(PROGRAM, encoding="utf-8")
    updated = programs.update(PAGE, tmp_path)
    assert f"<!-- docs/examples/walk.py -->\n```python\n{PROGRAM}```\n" in updated
    assert '"# end" -->\n```python\ndef walk() -> None:\n    feet.move()\n```\n' in updated
    assert updated.endswith("left alone:\n\n```python\nwalk()\n```\n")
    assert programs.update(updated, tmp_path) == updated


@pytest.mark.parametrize("part", ['from "def run"', 'before "# finish"'])
def test_a_missing_line_is_an_error(programs: ModuleType, tmp_path: Path, part: str) -> None:
    """A part whose first or last line does not exist is refused, rather than shown without it."""
    (tmp_path / "walk.py").write_text(PROGRAM, encoding="utf-8")
    with pytest.raises(StopIteration):
        programs.update(f"<!-- docs/examples/walk.py {part} -->\n```python\n```\n", tmp_path)

"""Each Python block of a page is a program of docs/examples or a fragment, and type checkers read both."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from ..conftest import load_from_docs

ROOT = Path(__file__).resolve().parents[2]

PAGE = """# Walk

<!-- docs/examples/walk.py -->
```python
walk()
```

```python
async with client:
    print(client)
```

1. As an item:

   ```python
   return jobs
   ```
"""


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """Load the generator, which is beside the pages."""
    return load_from_docs("fragments.py")


def test_programs_are_left_out_and_all_else_is_a_fragment(made: ModuleType) -> None:
    """A block below the comment of a program is no fragment; each other one is, with its line, without its indent."""
    assert [(9, "async with client:\n    print(client)"), (16, "return jobs")] == list(made.fragments(PAGE))


def test_a_fragment_is_a_function_below_the_declared_names(made: ModuleType) -> None:
    """A module parses, declares what fragments speak of, and has a function for each; a page without any has none."""
    tree = ast.parse(made.module("docs/howto/walk.md", PAGE))
    functions = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    declared = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and node.target.id}
    assert ["line_9", "line_16"] == [one.name for one in functions]
    assert all(isinstance(one.body[-1], ast.Return) for one in functions)
    assert set(made.DECLARED) == declared
    assert not made.module("docs/howto/walk.md", "# Walk\n")


def test_every_page_with_fragments_has_a_module(made: ModuleType, tmp_path: Path) -> None:
    """All blocks of all pages are in the modules, and the cells of the notebook, which no checker reads as they are."""
    made.write_fragments(tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.py")}
    assert all(ast.parse(text) for text in written.values())
    count = sum(len(re.findall(r"^async def line_", text, re.MULTILINE)) for text in written.values())
    pages = [*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]
    texts = [path.read_text(encoding="utf-8") for path in pages]
    blocks = sum(len(re.findall(r"^ *```python$", text, re.MULTILINE)) for text in texts)
    programs = sum(len(re.findall(r"^<!-- docs/examples/\S+\.py", text, re.MULTILINE)) for text in texts)
    assert blocks - programs + 1 == count > 25
    assert {"page_README_md.py", "cells_of_the_notebook.py"} <= set(written)


def test_the_session_of_types_reads_them_strictly() -> None:
    """Both checkers are strict, and read the programs; what either leaves out has its reason beside it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tools = tomllib.loads(text)["tool"]
    assert "docs/examples" in tools["mypy"]["files"]
    assert {"docs/examples", "docs/_build/fragments"} <= set(tools["pyright"]["include"])
    assert tools["mypy"]["strict"] is True
    assert "strict" == tools["pyright"]["typeCheckingMode"]
    left_out = {Path(name).name for name in tools["pyright"]["exclude"]}
    assert left_out == {"notebook.py", "pandas_frame.py", "ray_tasks.py", "tqdm_progress.py"}
    session = (ROOT / "noxfile.py").read_text(encoding="utf-8").partition("def types(")[2].partition("@nox")[0]
    assert all(f'session.run("{words}"' in session for words in ('mypy", "docs/_build/fragments', "mypy", "pyright"))

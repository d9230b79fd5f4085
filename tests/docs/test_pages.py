"""Checks of the written pages, so that they cannot fall behind the code."""

from __future__ import annotations

import ast
import inspect
import os
import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from attrs import fields

import kling_async
from kling_async import Batch, Client, EventKind, ImageInput, InputError, Limits, NotSent, errors, testing
from kling_async.providers import PROVIDERS
from kling_async.testing import FAULTS, Sandbox
from kling_async.testing.sandbox.browser_style import ICON
from kling_async.types.status import JobStatus

ROOT = Path(__file__).resolve().parents[2]
MADE = ("docs/reference/commands.md", "docs/reference/faults.md", "docs/reference/models.md")
"""Pages that the build generates."""
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
WRITTEN = [path for path in PAGES if path not in MADE and "_build" not in path]


def read(path: str) -> str:
    """Read a page of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def kinds(base: type[errors.KlingError]) -> set[str]:
    """Name a class of errors and all below it."""
    return {base.__name__}.union(*(kinds(one) for one in base.__subclasses__()))


def test_every_error_has_an_anchor() -> None:
    """Each error has a paragraph with an anchor that is made of its name, and there are no others."""
    anchors = re.findall(r"^\(([a-z]+)\)=\n### (\w+)$", read("docs/reference/errors.md"), re.MULTILINE)
    public = {name for name in kinds(errors.KlingError) if name in errors.__all__}
    assert {title for _, title in anchors} == public
    assert all(anchor == title.lower() for anchor, title in anchors)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_listed(name: str) -> None:
    """Each fault of the sandbox has a line on the page about the sandbox."""
    assert re.search(rf"^\| `{name}[`:]", read("docs/reference/sandbox.md"), re.MULTILINE)


def test_no_listed_fault_is_unknown() -> None:
    """Each fault on the page about the sandbox is one of the sandbox's."""
    _, _, tables = read("docs/reference/sandbox.md").partition("### A submission\n")
    assert set(re.findall(r"^\| `([a-z0-9_]+)[`:]", tables, re.MULTILINE)) == set(FAULTS)


@pytest.mark.parametrize("command", ["python3 noxfile.py -s demo", "python3 noxfile.py -s tests"])
def test_the_readme_begins_with_what_to_type(command: str) -> None:
    """The two commands are on the README's first screen."""
    assert command in read("README.md").splitlines()[:25]


def test_errors_end_with_a_url_only_if_there_is_one() -> None:
    """An error ends with the URL of its paragraph if the project has one, and names no file of the source."""
    urls = tomllib.loads(read("pyproject.toml"))["project"].get("urls", {})
    text = str(NotSent("No connection", advice=""))
    if "Documentation" in urls:
        assert text.endswith(f"{urls['Documentation'].rstrip('/')}/reference/errors.html#notsent")
    else:
        assert text == "No connection."


@pytest.mark.parametrize("path", WRITTEN)
def test_links_between_pages_lead_somewhere(path: str) -> None:
    """A link to a file of this repository names one that exists, or one that the build generates."""
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", read(path)):
        place = os.path.normpath(Path(path).parent / target).replace(os.sep, "/")
        assert place in MADE or (ROOT / place).is_file(), target


PICTURE = re.compile(
    r"```\{image\} (\S+)\n:alt: (.+)|<img src=\"([^\"]+)\"[^>]* alt=\"([^\"]+)\"|srcset=\"([^\"]+)()\""
)


@pytest.mark.parametrize("path", ["README.md", "docs/index.md", "docs/reference/report.md"])
def test_pictures_are_there_small_and_described(path: str) -> None:
    """Each picture is a file of less than 200 kB, in both colour schemes, and has an alternative text."""
    found = [[part for part in match if part] for match in PICTURE.findall(read(path))]
    assert len(found) >= 4
    names = {found_one[0] for found_one in found}
    assert {name.replace("-light.", "-dark.") for name in names} == {name for name in names if "-dark." in name}
    for name in names:
        assert 0 < (ROOT / Path(path).parent / name).stat().st_size < 200_000
    assert read(path).count("{image}") + read(path).count("<img") == sum(len(one) > 1 for one in found)


def test_the_icon_is_the_same_everywhere() -> None:
    """The pages, a report and the sandbox have one icon."""
    icon = read("docs/icon.svg").strip()
    assert icon == ICON
    inline = re.findall(r'rel="icon" href="data:image/svg\+xml,([^"]+)"', read("kling_async/runs/report/page.html"))
    assert [icon] == [unquote(one).replace("'", '"') for one in inline]


CAPTION = re.compile(r"^```\{toctree\}\n:hidden:\n:caption: (.+)\n\n((?:\S+\n)+)```$", re.MULTILINE)


def test_the_index_is_in_groups() -> None:
    """No group of guides in the index has more than seven pages."""
    groups = {caption: names.split() for caption, names in CAPTION.findall(read("docs/index.md"))}
    guides = {caption: names for caption, names in groups.items() if any(name.startswith("howto/") for name in names)}
    assert len(guides) > 5
    assert {} == {caption: len(names) for caption, names in guides.items() if len(names) > 7}


def test_every_page_is_in_the_index() -> None:
    """Each page is found from the index, once, in one of its parts."""
    listed = re.findall(r"^((?:tutorial|howto|reference|explanation)/\S+)$", read("docs/index.md"), re.MULTILINE)
    pages = {path for path in PAGES if path.count("/") > 1 and "_build" not in path}.union(MADE)
    assert sorted(f"docs/{name}.md" for name in listed) == sorted(pages)


def modules(page: str) -> set[str]:
    """Return the modules of the package that a page names by their path."""
    named = re.findall(r"`([a-z_]+/[a-z_/.]+\.(?:py|html))`", page)
    return {path for path in named if not path.startswith(("docs/", "tests/"))}


def test_the_design_names_modules_that_exist() -> None:
    """Each module on the page about the design, where to change things among them, is in the package."""
    found = modules(read("docs/explanation/design.md"))
    assert {"client/client.py", "scheduling/retry.py", "runs/results.py", "runs/report/page.html"} <= found
    assert [path for path in sorted(found) if not (ROOT / "kling_async" / path).is_file()] == []


def blocks(path: str) -> Iterator[str]:
    """Yield the Python blocks of a page."""
    yield from re.findall(r"^```python\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL)


def resolve(called: ast.expr) -> Any:
    """Return what a call in an example calls, if it is ours; a missing attribute of ours is an error."""
    holders = {"client": Client, "batch": Batch, "sandbox": Sandbox}
    match called:
        case ast.Name(name) if name[0].isupper() or name in kling_async.__all__:
            return getattr(kling_async, name, None) or getattr(testing, name, None)
        case ast.Attribute(ast.Name(name), attribute) if name in holders:
            return getattr(holders[name], attribute)
    return None


def calls(path: str) -> list[tuple[Any, set[str]]]:
    """Return the calls in a page's Python, with the names of their arguments."""
    found = []
    for block in blocks(path):
        tree = compile(block, path, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (target := resolve(node.func)) is not None:
                found.append((target, {keyword.arg for keyword in node.keywords if keyword.arg}))
    return found


@pytest.mark.parametrize("path", [path for path in WRITTEN if list(blocks(path))])
def test_python_in_pages_fits_the_package(path: str) -> None:
    """Python in a page can be parsed, and calls only functions and arguments that exist."""
    for target, names in calls(path):
        parameters = inspect.signature(target).parameters.values()
        known = {parameter.name for parameter in parameters}
        assert names <= known or any(one.kind is one.VAR_KEYWORD for one in parameters), target


def test_python_in_pages_is_found() -> None:
    """The rule above finds calls at all."""
    assert (Client, {"journal"}) in calls("docs/howto/resume.md")
    assert (Client.batch, {"provider"}) in calls("docs/howto/batches.md")
    assert (Sandbox, {"seed"}) in calls("docs/reference/sandbox.md")


def test_the_first_lesson_shows_the_error_as_it_is() -> None:
    """The error in the lesson is the error of the package, but for line breaks and the key."""
    [shown] = re.findall(
        r"^kling_async.errors.(InputError: .*?)\n```", read("docs/tutorial/first_image.md"), re.DOTALL | re.MULTILINE
    )
    key = re.findall(r"job (\S+)\]", shown)[0]
    [asked] = [block for block in blocks("docs/tutorial/first_image.md") if "n=12" in block]
    [call] = [node for node in ast.walk(ast.parse(asked)) if isinstance(node, ast.Call)]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    with pytest.raises(InputError) as caught:
        PROVIDERS["gptproto"].check(ImageInput(ast.literal_eval(call.args[0]), **given), key=key)
    assert f"InputError: {caught.value}".split() == shown.split()


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_every_variable_is_documented(provider: Any) -> None:
    """The page about variables has a line for each API key and each origin."""
    page = read("docs/reference/environment.md")
    assert all(f"| `{name}` |" in page for name in (provider.api_key_env, provider.base_url_env))
    assert not provider.webhook_env or f"`{provider.webhook_env}`" in page


def test_every_number_of_the_limits_is_documented() -> None:
    """The page about limits has a line for each limit, with its default."""
    for limit in fields(Limits):
        assert re.search(rf"^\| `{limit.name}` \| {limit.default:g} \|", read("docs/howto/limits.md"), re.MULTILINE)


@pytest.mark.parametrize(("page", "values"), [("howto/progress", EventKind), ("reference/glossary", JobStatus)])
def test_every_word_is_documented(page: str, values: type[StrEnum]) -> None:
    """The kinds of events are on the page about watching a run, the statuses of a job in the glossary."""
    assert all(f"`{value}`" in read(f"docs/{page}.md") for value in values)


@pytest.mark.parametrize("name", list(inspect.signature(Client.batch).parameters)[2:])
def test_every_setting_of_a_batch_is_documented(name: str) -> None:
    """The page about batches names each setting."""
    assert f"`{name}" in read("docs/howto/batches.md")

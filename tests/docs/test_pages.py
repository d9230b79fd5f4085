"""What the written pages must hold, so that they cannot fall behind the code."""

from __future__ import annotations

import inspect
import re
from enum import StrEnum
from pathlib import Path

import pytest
from attrs import fields

from kling_async import Client, EventKind, Limits, errors
from kling_async.planning.moves import State
from kling_async.testing import FAULTS

ROOT = Path(__file__).resolve().parents[2]
MADE = ("reference/commands.md", "reference/faults.md", "reference/models.md")
"""Pages that the build makes."""


def read(path: str) -> str:
    """Read a page of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def kinds(base: type[errors.KlingError]) -> set[str]:
    """Name a class of errors and all below it."""
    return {base.__name__}.union(*(kinds(one) for one in base.__subclasses__()))


def test_every_error_has_an_anchor() -> None:
    """Each error is told about under an anchor that is made of its name, and no other is."""
    anchors = re.findall(r"^\(([a-z]+)\)=\n### (\w+)$", read("docs/errors.md"), re.MULTILINE)
    public = {name for name in kinds(errors.KlingError) if name in errors.__all__}
    assert {title for _, title in anchors} == public
    assert all(anchor == title.lower() for anchor, title in anchors)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_listed(name: str) -> None:
    """Each fault of the sandbox has a line on the page about testing."""
    assert re.search(rf"^\| `{name}[`:]", read("docs/testing.md"), re.MULTILINE)


def test_no_listed_fault_is_unknown() -> None:
    """Each fault on the page about testing is one of the sandbox's."""
    _, _, tables = read("docs/testing.md").partition("### A submission\n")
    assert set(re.findall(r"^\| `([a-z0-9_]+)[`:]", tables, re.MULTILINE)) == set(FAULTS)


@pytest.mark.parametrize("command", ["python3 noxfile.py -s demo", "python3 noxfile.py -s tests"])
def test_the_readme_begins_with_what_to_type(command: str) -> None:
    """The two commands stand in the README's first screen."""
    assert command in read("README.md").splitlines()[:25]


@pytest.mark.parametrize("path", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_between_pages_lead_somewhere(path: str) -> None:
    """A link to a file of this repository names one that exists, or one that the build makes."""
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", read(path)):
        assert target in MADE or (ROOT / path).parent.joinpath(target).is_file(), target


def test_every_number_of_the_limits_is_told() -> None:
    """The page about limits has a line for each limit, with its default."""
    for limit in fields(Limits):
        assert re.search(rf"^\| `{limit.name}` \| {limit.default:g} \|", read("docs/limits.md"), re.MULTILINE)


@pytest.mark.parametrize(("page", "values"), [("batches", EventKind), ("glossary", State)])
def test_every_word_is_told(page: str, values: type[StrEnum]) -> None:
    """The kinds of events stand on the page about batches, the states of a job in the glossary."""
    assert all(f"`{value}`" in read(f"docs/{page}.md") for value in values)


@pytest.mark.parametrize("name", list(inspect.signature(Client.batch).parameters)[2:])
def test_every_setting_of_a_batch_is_told(name: str) -> None:
    """The page about batches names each setting."""
    assert f"`{name}" in read("docs/batches.md")

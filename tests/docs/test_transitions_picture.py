"""The picture of the transitions shows all of the engine's table, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import TypeAlias
from xml.etree import ElementTree as ET  # what is read here was written here

import pytest

from kling_async.scheduling.transitions import CLOSING, TRANSITIONS, Trigger
from kling_async.types.status import JobStatus

from ..conftest import load_from_docs

SVG = "{http://www.w3.org/2000/svg}"

Name: TypeAlias = str | Enum
Table: TypeAlias = Mapping[tuple[Name, Name], Name]
Transitions: TypeAlias = set[tuple[str, str, str]]


@pytest.fixture
def picture() -> ModuleType:
    """Load the generator, which is beside the pages."""
    return load_from_docs("transitions_picture.py")


def word(name: Name) -> str:
    """Return the text of a status or a trigger."""
    return str(name.value) if isinstance(name, Enum) else name


def transitions(table: Table) -> Transitions:
    """Return a table as triples."""
    return {(word(status), word(trigger), word(after)) for (status, trigger), after in table.items()}


def statuses(table: Table) -> set[str]:
    """Return every status of a table."""
    return {word(status) for status, _ in table} | {word(after) for after in table.values()}


def read(svg: str) -> tuple[set[str], Transitions]:
    """Parse the statuses and the labelled arrows of a picture, each by its visible text."""
    tree = ET.fromstring(svg)  # noqa: S314
    boxes = [one for one in tree.iter(f"{SVG}g") if one.get("class") == "status"]
    assert all([text.text for text in box.iter(f"{SVG}text")] == [box.get("data-status")] for box in boxes)
    arrows = [one for one in tree.iter(f"{SVG}path") if one.get("class") == "way"]
    labels = [one for one in tree.iter(f"{SVG}g") if one.get("class") == "labels"]
    assert len(arrows) == len(labels)
    return {str(box.get("data-status")) for box in boxes}, {
        (str(label.get("data-from")), str(text.text), str(label.get("data-to")))
        for label in labels
        for text in label.iter(f"{SVG}text")
    }


def test_the_build_draws_the_table(picture: ModuleType, tmp_path: Path) -> None:
    """Every status and every transition of the engine is in the file that the build writes, and no other."""
    picture.write_transitions(tmp_path / "transitions.svg")
    svg = (tmp_path / "transitions.svg").read_text(encoding="utf-8")
    assert read(svg) == (statuses(TRANSITIONS), transitions(TRANSITIONS))
    kinds = {text.text: text.get("class") for text in ET.fromstring(svg).iter(f"{SVG}text")}  # noqa: S314
    assert {word(one) for one in CLOSING} == {text for text, kind in kinds.items() if kind == "trigger closing"}


@pytest.mark.parametrize(
    "more",
    [
        {("accepted", "paused"): "parked"},
        {("accepted", "paused"): "parked", ("parked", "woken"): "accepted"},
        {("planned", "known"): "succeeded"},
        {("submitting", "still submitting"): "submitting"},
        {("submitting", "a < b & c"): "failed"},
    ],
)
def test_an_addition_to_the_table_is_drawn(picture: ModuleType, more: Table) -> None:
    """A new status or a new transition changes the picture, and is readable in it."""
    table = {**TRANSITIONS, **more}
    drawn = picture.draw_transitions(table)
    assert drawn != picture.draw_transitions(TRANSITIONS)
    assert read(drawn) == (statuses(table), transitions(table))


def test_a_removed_transition_is_not_drawn(picture: ModuleType) -> None:
    """A table with one transition less has a picture with one label less."""
    for removed in TRANSITIONS:
        if removed[1] in {Trigger.DROPPED, Trigger.ANSWER_LOST, Trigger.REQUEUED, Trigger.DEFERRED}:
            table = {key: after for key, after in TRANSITIONS.items() if key != removed}
            assert read(picture.draw_transitions(table))[1] == transitions(table)


def test_boxes_are_apart_and_inside(picture: ModuleType) -> None:
    """No box covers another, and none is outside the picture."""
    tree = ET.fromstring(picture.draw_transitions(TRANSITIONS))  # noqa: S314
    _, _, width, height = map(float, str(tree.get("viewBox")).split())
    boxes = [
        [float(str(one.get(name))) for name in ("x", "y", "width", "height")]
        for one in tree.iter(f"{SVG}rect")
        if one.get("class") == "outer"
    ]
    assert len(boxes) == len(JobStatus) - 1  # all but abandoned, which is a decision and not the engine's
    for at, (x, y, wide, high) in enumerate(boxes):
        assert x >= 0 <= y
        assert x + wide <= width
        assert y + high <= height
        for other_x, other_y, _, _ in boxes[:at]:
            assert abs(x - other_x) >= wide or abs(y - other_y) >= high


def test_an_unreachable_status_is_an_error(picture: ModuleType) -> None:
    """A table with an unreachable status is refused, rather than drawn without it."""
    with pytest.raises(ValueError, match="nowhere"):
        picture.draw_transitions({**TRANSITIONS, ("nowhere", "lost"): "planned"})

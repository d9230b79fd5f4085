"""The picture of the states shows what the engine's table says, all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeAlias
from xml.etree import ElementTree as ET  # what is read here was written here

import pytest

from kling_async.planning.engine import TRANSITIONS

from ..conftest import load_from_docs

SVG = "{http://www.w3.org/2000/svg}"

Ways: TypeAlias = set[tuple[str, str, str]]


@pytest.fixture
def picture() -> ModuleType:
    """Load the generator, which lies beside the pages."""
    return load_from_docs("transitions_picture.py")


def ways(table: Mapping[tuple[str, str], str]) -> Ways:
    """Write a table as triples."""
    return {(str(state), news, str(after)) for (state, news), after in table.items()}


def states(table: Mapping[tuple[str, str], str]) -> set[str]:
    """Name every state of a table."""
    return {str(state) for state, _ in table} | {str(after) for after in table.values()}


def read(svg: str) -> tuple[set[str], Ways]:
    """Read the states and the labelled arrows back out of a picture, each by the words that are to be seen."""
    tree = ET.fromstring(svg)  # noqa: S314
    boxes = [one for one in tree.iter(f"{SVG}g") if one.get("class") == "state"]
    assert all([text.text for text in box.iter(f"{SVG}text")] == [box.get("data-state")] for box in boxes)
    arrows = [one for one in tree.iter(f"{SVG}path") if one.get("class") == "way"]
    labels = [one for one in tree.iter(f"{SVG}g") if one.get("class") == "words"]
    assert len(arrows) == len(labels)
    return {str(box.get("data-state")) for box in boxes}, {
        (str(label.get("data-from")), str(text.text), str(label.get("data-to")))
        for label in labels
        for text in label.iter(f"{SVG}text")
    }


def test_the_build_draws_the_table(picture: ModuleType, tmp_path: Path) -> None:
    """Every state and every transition of the engine is in the file that the build writes, and no other."""
    picture.write_transitions(tmp_path / "transitions.svg")
    drawn = read((tmp_path / "transitions.svg").read_text(encoding="utf-8"))
    assert drawn == (states(TRANSITIONS), ways(TRANSITIONS))


@pytest.mark.parametrize(
    "more",
    [
        {("accepted", "paused"): "parked"},
        {("accepted", "paused"): "parked", ("parked", "woken"): "accepted"},
        {("planned", "known"): "ended"},
        {("sending", "still sending"): "sending"},
        {("sending", "a < b & c"): "failed"},
    ],
)
def test_what_is_added_to_the_table_is_drawn(picture: ModuleType, more: Mapping[tuple[str, str], str]) -> None:
    """A new state or a new transition changes the picture, and is to be read in it."""
    table = {**TRANSITIONS, **more}
    drawn = picture.draw_transitions(table)
    assert drawn != picture.draw_transitions(TRANSITIONS)
    assert read(drawn) == (states(table), ways(table))


def test_what_is_taken_away_is_not_drawn(picture: ModuleType) -> None:
    """A table with one transition less has a picture with one label less."""
    for gone in TRANSITIONS:
        if gone[1] in {"given up", "answer lost", "not started"}:
            table = {key: after for key, after in TRANSITIONS.items() if key != gone}
            assert read(picture.draw_transitions(table))[1] == ways(table)


def test_boxes_stand_apart_and_inside(picture: ModuleType) -> None:
    """No box covers another, and none leaves the picture."""
    tree = ET.fromstring(picture.draw_transitions(TRANSITIONS))  # noqa: S314
    _, _, width, height = map(float, str(tree.get("viewBox")).split())
    boxes = [
        [float(str(one.get(name))) for name in ("x", "y", "width", "height")]
        for one in tree.iter(f"{SVG}rect")
        if one.get("class") == "outer"
    ]
    for at, (x, y, wide, high) in enumerate(boxes):
        assert x >= 0 <= y
        assert x + wide <= width
        assert y + high <= height
        for other_x, other_y, _, _ in boxes[:at]:
            assert abs(x - other_x) >= wide or abs(y - other_y) >= high


def test_a_state_that_nothing_leads_to_is_a_mistake(picture: ModuleType) -> None:
    """A table with an island is refused, rather than drawn without it."""
    with pytest.raises(ValueError, match="nowhere"):
        picture.draw_transitions({**TRANSITIONS, ("nowhere", "lost"): "planned"})

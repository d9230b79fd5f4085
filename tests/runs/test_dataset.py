"""`metadata.jsonl` as loaders of datasets document it: a file name and a text in each line, and the same columns."""

from __future__ import annotations

import json
from typing import Any

from kling_async.runs.dataset import DatasetFiles, metadata_lines
from kling_async.runs.report import ReportRow
from kling_async.types.status import JobStatus


def row(key: str, *files: str, prompt: str = "a cat", **settings: Any) -> ReportRow:
    return ReportRow(
        key=key,
        position=0,
        provider="gptproto",
        model="kling-image-o1",
        kind="image",
        prompt=prompt,
        status=JobStatus.SUCCEEDED,
        id=f"id-{key}",
        files=tuple(f"media/{name}" for name in files),
        **settings,
    )


def lines(*rows: ReportRow, **settings: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in metadata_lines(rows, DatasetFiles.of(rows, **settings))]


def test_a_line_for_each_file() -> None:
    """Each image has a line: its name relative to the file, the prompt as its text, and where it is from."""
    found = lines(row("a", "a-0.png", "a-1.png", prompt="漢字\nnew line"), row("b"), row("c", "c-0.jpg"))
    assert ["a-0.png", "a-1.png", "c-0.jpg"] == [one["file_name"] for one in found]
    assert {
        "file_name": "a-0.png",
        "text": "漢字\nnew line",
        "key": "a",
        "provider": "gptproto",
        "model": "kling-image-o1",
        "id": "id-a",
    } == found[0]


def test_all_lines_have_the_same_columns() -> None:
    """A label that a job lacks is null there: a table has one set of columns, whichever job comes first."""
    found = lines(row("a", "a-0.png"), row("b", "b-0.png", labels={"style": "ink"}), row("c", labels={"seen": "no"}))
    assert 1 == len({tuple(one) for one in found})
    assert [None, "ink"] == [one["label.style"] for one in found]


def test_a_line_is_one_line_in_every_program() -> None:
    """No prompt ends a line, also where a program takes other characters for ends."""
    rows = [row("a", "a-0.png", prompt="a\u2028b\u0085c\rd\ne\ud800")]
    [line] = metadata_lines(rows, DatasetFiles.of(rows))
    assert [line] == line.splitlines()
    assert "a\u2028b\u0085c\rd\ne" == json.loads(line)["text"][:9]


def test_images_and_videos_are_not_in_one_list() -> None:
    """A loader reads one kind: the images, or the videos of a run without any; it is counted what is left out."""
    mixed = [row("a", "a-0.png"), row("b", "b-0.mp4"), row("c", "c-0.webm")]
    assert ["a-0.png"] == [one["file_name"] for one in lines(*mixed)]
    assert 2 == DatasetFiles.of(mixed).others
    assert ["b-0.mp4", "c-0.webm"] == [one["file_name"] for one in lines(*mixed[1:])]
    assert 0 == DatasetFiles.of(mixed[1:]).others


def test_what_was_deleted_has_no_line() -> None:
    """A file that is not there any more has no line, since a loader would stop at it; nor has a job without files."""
    rows = [row("a", "a-0.png"), row("b", "b-0.png"), row("c")]
    assert ["b-0.png"] == [one["file_name"] for one in lines(*rows, present={"b-0.png"})]
    assert [] == lines(*rows, present=set())


def test_objects_have_lines() -> None:
    """The name of an object is what its URL ends with."""
    [found] = lines(row("a", objects=("s3://bucket/runs/a-0.png",)))
    assert "a-0.png" == found["file_name"]

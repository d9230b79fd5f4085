"""The JSON Schemas: valid themselves, and of one mind with the reader of job files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import asdict
from hypothesis import given
from jsonschema import Draft202012Validator

from kling_async import ImageInput, Input, Job, VideoInput
from kling_async.cli.schema import schema
from kling_async.runs.jobfile import dump_job, read_jobfile
from kling_async.runs.jobfile.schema import input_schema, line_schema

from .test_jobfile import INPUTS

LINE: Any = Draft202012Validator(line_schema())
OF_INPUTS: Mapping[type[Input], Any] = {
    kind: Draft202012Validator(input_schema(kind)) for kind in (ImageInput, VideoInput)
}


def test_the_schemas_are_schemas() -> None:
    """Each follows its dialect, and describes every field that the input has."""
    for validator in (LINE, *OF_INPUTS.values()):
        Draft202012Validator.check_schema(validator.schema)
        properties: Mapping[str, Any] = validator.schema["properties"]
        assert all(one.get("description") or one["anyOf"][0]["description"] for one in properties.values())


@given(INPUTS)
def test_every_input_fits_its_schema(inputs: list[Input]) -> None:
    """Any input that can be made, written as JSON, fits the schema of its kind, and as a job that of a line."""
    for input in inputs:
        assert OF_INPUTS[type(input)].is_valid(_with_sensible_shots(json.loads(json.dumps(asdict(input)))))
        line = json.loads(dump_job(Job(input, key="a", labels={"x": "y"})))
        assert LINE.is_valid(_with_sensible_shots(line))


def _with_sensible_shots(document: dict[str, Any]) -> dict[str, Any]:
    """Give shots of no length one second: the reader leaves them to the check of the input."""
    for shot in document.get("shots", ()):
        shot["duration"] = max(shot["duration"], 1)
    return document


WRONG: Mapping[str, Any] = {
    "no prompt": {"kind": "image"},
    "a number for a prompt": {"prompt": 5},
    "an unknown column": {"prompt": "a", "promt": "b"},
    "a text for a list": {"prompt": "a", "images": "https://x.test/a.png"},
    "a text for a number": {"prompt": "a", "n": "two"},
    "a fraction of a second": {"prompt": "a", "kind": "video", "duration": 1.5},
    "a shot without a duration": {"kind": "video", "shots": [{"prompt": "a"}]},
    "a label that is no text": {"prompt": "a", "labels": {"x": 1}},
    "an unknown provider": {"prompt": "a", "provider": "sora"},
    "an unknown kind": {"prompt": "a", "kind": "film"},
}


@pytest.mark.parametrize("line", WRONG.values(), ids=list(WRONG))
def test_a_wrong_line_does_not_fit(line: Mapping[str, Any]) -> None:
    """An editor underlines what the reader would refuse."""
    assert not LINE.is_valid(line)
    assert any(row.faults for row in read_jobfile([json.dumps(line).encode()], name="jobs.jsonl"))


RIGHT: Mapping[str, Any] = {
    "a prompt": {"prompt": "a"},
    "a number as a key": {"prompt": "a", "key": 7},
    "an entry of extra": {"prompt": "a", "extra.seed": 7},
    "nulls": {"prompt": "a", "n": None, "model": None, "kind": None, "provider": None},
    "a matrix": {"prompt": "a {animal}", "vars": {"animal": ["cat", "dog"]}},
    "shots alone": {"kind": "video", "model": "kling-3", "shots": [{"prompt": "a", "duration": 5}]},
}


@pytest.mark.parametrize("line", RIGHT.values(), ids=list(RIGHT))
def test_a_right_line_fits(line: Mapping[str, Any]) -> None:
    """What the reader takes, the schema allows."""
    assert LINE.is_valid(line)
    assert not any(row.faults for row in read_jobfile([json.dumps(line).encode()], name="jobs.jsonl"))


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    """`kling-async schema` prints the schema of a line, and those of the two inputs by name."""
    printed: dict[Any, Callable[[], object]] = {
        "jobs": line_schema,
        "image": lambda: input_schema(ImageInput),
        "video": lambda: input_schema(VideoInput),
    }
    for of, made in printed.items():
        assert 0 == schema(of)
        assert made() == json.loads(capsys.readouterr().out)

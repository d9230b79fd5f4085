"""Rows of job files at several targets: how targets are written, which jobs they make, and their keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kling_async import InputError, VideoInput
from kling_async.runs.jobfile import JobfileSummary, Row, read_jobfile
from kling_async.runs.targets import Target, parse_targets

THREE = ("wavespeed:kling-3.0-std", "fal:kling-3.0-std", "kling:kling-o1-std")


def read(text: str, *on: str, **options: Any) -> list[Row]:
    """Read a job file from a text, with a job of each row at each target."""
    return list(read_jobfile(text.splitlines(keepends=True), name="p.jsonl", targets=parse_targets(on), **options))


def keys(rows: list[Row]) -> list[str | None]:
    """Return the keys of rows without faults."""
    assert [] == [str(fault) for row in rows for fault in row.faults]
    return [job.key for row in rows for job in row.jobs]


def told(rows: list[Row]) -> list[str]:
    """Return all faults."""
    return [str(fault) for row in rows for fault in row.faults]


def test_targets_have_canonical_names() -> None:
    """A provider's own name of a model becomes the canonical one; the provider or the model may be left out."""
    assert (
        Target("gptproto", "kling-3.0-std"),
        Target("fal"),
        Target(None, "kling-o1-std"),
    ) == parse_targets(["gptproto:kling-v3.0-std", " fal ", ":kling-o1-std"])


WRONG = {
    (): "at least once",
    ("",): "must be PROVIDER:MODEL",
    ("fla:kling-3.0-std",): "did you mean fal?",
    ("fal:kling-33",): "on='fal:kling-33': must be one of kling-2.6-pro",
    ("kling-3.0-std",): "is a model; write :kling-3.0-std",
    ("fal", "fal"): "is the same as fal",
    ("gptproto:kling-3.0-std", "gptproto:kling-v3.0-std"): "is the same as gptproto:kling-3.0-std",
}


@pytest.mark.parametrize(("texts", "message"), WRONG.items())
def test_a_target_that_is_none_is_refused(texts: tuple[str, ...], message: str) -> None:
    """A target is a provider, a model or both, known and given once."""
    with pytest.raises(InputError) as caught:
        parse_targets(texts)
    assert message in str(caught.value)


def test_all_faults_of_targets_are_reported_at_once() -> None:
    """One error has the faults of all targets."""
    with pytest.raises(InputError) as caught:
        parse_targets(["fla", "fal:x", "fal", "fal"])
    assert 3 == len(caught.value.faults)


def test_a_row_is_a_job_at_each_target() -> None:
    """The target sets provider, model and, by the model, the kind; labels say the row and the target."""
    [row] = read('{"key": "fox", "prompt": "a fox", "duration": 5, "labels": {"day": "1"}}', *THREE)
    assert ["fox-wavespeed_kling_3.0_std", "fox-fal_kling_3.0_std", "fox-kling_kling_o1_std"] == keys([row])
    assert VideoInput("a fox", duration=5, model="kling-o1-std") == row.jobs[2].input
    assert "kling" == row.jobs[2].provider
    assert {"day": "1", "row": "fox", "provider": "kling", "model": "kling-o1-std"} == row.jobs[2].labels


def test_what_a_target_leaves_out_is_the_rows() -> None:
    """A target without a model keeps the row's, and one without a provider the row's provider."""
    line = '{"key": "fox", "prompt": "a fox", "model": "kling-3.0-std", "provider": "wavespeed"}'
    [row] = read(line, "fal", ":kling-o1-std")
    assert [("fal", "kling-3.0-std"), ("wavespeed", "kling-o1-std")] == [
        (job.provider, job.input.model) for job in row.jobs
    ]
    assert ["fox-fal", "fox-kling_o1_std"] == keys([row])


def test_keys_depend_on_the_row_and_on_the_target_only() -> None:
    """Further targets and another order change no key and no input, also of rows without a key and of matrices."""
    fox, owl = '{"prompt": "a fox"}', '{"prompt": "an owl", "model": "kling-4.0"}'
    text = f'{fox}\n{fox}\n{owl}\n{{"key": "m", "prompt": "{{a}}", "vars": {{"a": ["x", "y"]}}}}'
    few = {job.key: job for row in read(text, *THREE[:2]) for job in row.jobs}
    more = {job.key: job for row in read(text, "replicate:kling-o1-std", *reversed(THREE)) for job in row.jobs}
    assert (10, 20) == (len(few), len(more))
    assert few == {key: more[key] for key in few}
    assert few.keys() >= {"m-x-fal_kling_3.0_std", "m-y-wavespeed_kling_3.0_std"}


ROWS = {
    "a fault of the row": ('{"prompt": "x", "n": "two"}', ("fal", "wavespeed"), "p.jsonl:1: n: must"),
    "a fault at one": (
        '{"prompt": "x", "kind": "video"}',
        ("fal:kling-3.0-std", "wavespeed:kling-image-o1"),
        "p.jsonl:1: kind: at wavespeed:kling-image-o1, must be image",
    ),
    "two kinds": ('{"prompt": "x"}', ("fal", "fal:kling-3.0-std"), "image at fal and video at fal:kling-3.0-std"),
    "the same job": (
        '{"prompt": "x", "model": "kling-3.0-std"}',
        ("fal", "fal:kling-3.0-std"),
        "makes the same job at fal and at fal:kling-3.0-std",
    ),
    "an axis": (
        '{"prompt": "x", "vars": {"model": ["kling-3.0-std"]}}',
        ("fal",),
        "vars.model: cannot be an axis where targets are compared",
    ),
    "a job of a comparison": (
        '{"prompt": "x", "labels": {"row": "fox"}}',
        ("fal",),
        "labels.row: belongs to a comparison",
    ),
    "a long key": (json.dumps({"key": "k" * 200, "prompt": "x"}), ("fal",), "must be 1 to 200 printable characters"),
}


@pytest.mark.parametrize(("text", "on", "message"), ROWS.values(), ids=ROWS)
def test_a_row_that_cannot_be_compared_is_a_fault(text: str, on: tuple[str, ...], message: str) -> None:
    """A row that is wrong itself, or for its targets, has no job; a fault of all targets is told once."""
    rows = read(text, *on)
    assert 1 == len(told(rows))
    assert message in told(rows)[0]
    assert () == rows[0].jobs


def test_a_setting_cannot_replace_a_target() -> None:
    """A field that a target or an axis sets cannot be set for all rows as well."""
    with pytest.raises(InputError, match="is set by the targets"):
        read('{"prompt": "x"}', "fal:kling-3.0-std", settings=["model=kling-4.0"])
    text = '{"key": "k", "prompt": "x", "vars": {"model": ["kling-3.0-std"]}}'
    rows = list(read_jobfile([text], name="p.jsonl", settings=["model=kling-4.0"]))
    assert "vars.model: is an axis of the row" in told(rows)[0]


def test_a_matrix_in_a_job_file_has_these_axes() -> None:
    """Lists named provider and model in vars set the fields of a row's jobs, and the kind follows from the model."""
    axes = {"provider": ["fal", "wavespeed"], "model": ["kling-3.0-std"]}
    line = json.dumps({"key": "k", "prompt": "a fox", "duration": 5, "vars": axes})
    [row] = read_jobfile([line], name="p.jsonl")
    assert ["k-fal-kling_3.0_std", "k-wavespeed-kling_3.0_std"] == keys([row])
    assert ["fal", "wavespeed"] == [job.provider for job in row.jobs]
    assert [VideoInput("a fox", model="kling-3.0-std")] * 2 == [job.input for job in row.jobs]


def test_what_a_provider_refuses_names_the_target() -> None:
    """The check of a job file names the target of each fault where a row has several."""
    [row] = read('{"prompt": "x", "duration": 12}', "fal:kling-3.0-std", "kling:kling-2.6-pro")
    summary = JobfileSummary(["gptproto"])
    summary.add(row)
    assert ["p.jsonl:1: duration: at kling:kling-2.6-pro, must be one of 5, 10 (is 12)"] == list(
        map(str, summary.faults)
    )

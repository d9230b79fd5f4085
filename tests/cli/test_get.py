"""`kling-async get`: one job by its key or its id, as lines for people and as an object for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import CALMLY, write


def test_one_job_by_key_or_id(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """All facts are there, of earlier submissions too, whose ids find the job as well as the newest one's."""
    write("m.csv", {"a": "a cat [[failed:no luck]]", "b": "a dog", "-c": "an owl [[refused]]"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    capfd.readouterr()
    assert 0 == typed("get", "m", "a", "--json", "id,status,failure,error,advice")
    failed = json.loads(capfd.readouterr().out)
    assert ["id", "status", "failure", "error", "advice"] == list(failed)
    assert "kling-async retry m" in failed["advice"]
    assert 0 == typed("retry", "m", "a", "--set", "prompt=a fox", "--progress", "none")
    for text in ("a", failed["id"]):
        capfd.readouterr()
        assert 0 == typed("get", "m", text, "--json")
        found = json.loads(capfd.readouterr().out)
        assert ("a", "succeeded", "a fox", "apiinone") == tuple(
            found[name] for name in ("key", "status", "prompt", "provider")
        )
        assert 0.012 == found["cost"]
        assert all(Path(file).is_file() for file in found["files"])
        assert [failed["id"], found["id"]] == [one["id"] for one in found["submissions"]]
        assert ["a cat [[failed:no luck]]", "a fox"] == [one["prompt"] for one in found["submissions"]]
    assert 0 == typed("get", "m", "a")
    lines = dict(line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines())
    assert {"key": "a", "status": "succeeded", "prompt": "a fox", "file": found["files"][0]}.items() <= lines.items()
    assert lines["earlier"].startswith(f"1: failed, {failed['id']}")
    assert 0 == typed("get", "m", "-c")
    assert "failed (refused)" in capfd.readouterr().out
    before = sandbox.submits
    assert 2 == typed("get", "m", "z")
    assert 'No job of "m" has the key or the id "z"' in capfd.readouterr().err
    assert 2 == typed("get", "m", "a", "--json", "nothing")
    assert 2 == typed("get", "none", "a")
    assert before == sandbox.submits


def test_names_of_facts_are_a_column(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A long name of a label moves all texts to the right, and a fact that is not known leaves no word behind."""
    Path("m.csv").write_text("key,prompt,label.customer\na,an owl [[refused]],Ada\n")
    assert 1 == typed("batch", "m.csv", *CALMLY)
    assert 0 == typed("retry", "m", "a", "--set", "prompt=an owl", "--progress", "none")
    capfd.readouterr()
    assert 0 == typed("get", "m", "a")
    lines = capfd.readouterr().out.splitlines()
    assert "label.customer Ada" in lines
    assert "earlier        1: failed, an owl [[refused]]" in lines
    assert {" "} == {line[14] for line in lines}


@pytest.mark.parametrize("output", ["m", "file"])
def test_a_key_of_any_script_names_its_file(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str], output: str
) -> None:
    """Its letters are in the name, in a directory and in an object store, and a rerun finds the file."""
    Path("store").mkdir()
    where = ("-o", "m") if output == "m" else ("-o", Path("store").absolute().as_uri(), "--run-directory", "m")
    write("m.csv", {"кот-72": "a cat", "猫": "a dog"})
    for _ in range(2):
        assert 0 == typed("batch", "m.csv", *where, *CALMLY)
    names = sorted(path.name for path in Path("m/media" if output == "m" else "store").rglob("*.png"))
    assert [True, True] == [names[0].startswith("кот-72_"), names[1].startswith("猫_")]
    capfd.readouterr()
    assert 0 == typed("get", "m", "猫", "--json", "files")
    [file] = json.loads(capfd.readouterr().out)["files"]
    assert file.endswith(names[1])
    assert 2 == sandbox.submits

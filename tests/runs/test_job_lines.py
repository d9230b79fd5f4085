"""Lines of jobs in a file, each found by its job's key."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Self

import pytest

from kling_async import ImageInput, InputError, Job
from kling_async.runs.directory import RunDirectory
from kling_async.runs.job_lines import stored_lines, temporary_lines
from kling_async.runs.jobfile import dump_job


def job(key: str, prompt: str = "a cat") -> Job:
    """Return a job."""
    return Job(ImageInput(prompt), key=key)


class Impostor(str):
    """A key with the hash of another."""

    __slots__ = ("of",)

    def __new__(cls, text: str, *, of: str) -> Self:
        """Make a key that has the hash of `of`."""
        made = super().__new__(cls, text)
        made.of = of
        return made

    def __eq__(self, other: object) -> bool:
        """Compare the texts."""
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        """Return the hash of the other key."""
        return hash(self.of)


def test_a_job_is_found_by_its_key(tmp_path: Path) -> None:
    """What was written comes back in its order, and each job by its key, whatever its text has."""
    jobs = [job("a"), job("b", "two\nlines\u2028 and a \ud83d"), job("漢字", "字")]
    with temporary_lines(tmp_path) as lines:
        lines.extend(jobs[:2])
        assert jobs[1] == lines.find("b")
        lines.extend(jobs[2:])
        assert jobs == list(lines)
        assert [0, 1, 2, None] == [lines.number_of(key) for key in ("a", "b", "漢字", "c")]
        assert (jobs[2], None) == (lines.find("漢字"), lines.find("c"))
    assert [] == list(tmp_path.iterdir())


def test_equal_hashes_are_not_equal_keys(tmp_path: Path) -> None:
    """A key that was never written is not found, also if its hash is that of one that was."""
    with temporary_lines(tmp_path) as lines:
        lines.extend([job("a")])
        assert None is lines.find(Impostor("b", of="a"))
        assert None is lines.number_of(Impostor("b", of="a"))
        assert 0 == lines.number_of(Impostor("a", of="a"))


def test_lines_of_a_file_are_found(tmp_path: Path) -> None:
    """Empty lines, comments and rows of several jobs move no job; a missing file has none; damage is told."""
    path = tmp_path / "jobs.jsonl"
    with stored_lines(path) as lines:
        assert (0, []) == (len(lines), list(lines))
    matrix = '{"key": "m", "prompt": "a {animal}", "vars": {"animal": ["fox", "owl"]}}'
    path.write_text(f"\ufeff{dump_job(job('a'))}\n\n# a comment\n{matrix}\n{dump_job(job('b'))}", encoding="utf-8")
    with stored_lines(path) as lines:
        keys = [one.key for one in lines]
        assert [0, 3, 3, 4] == [lines.number_of(key or "") for key in keys]
        assert list(lines) == [lines.find(key or "") for key in keys]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n{")
    with pytest.raises(InputError, match=r"jobs\.jsonl:6: line: is not JSON"), stored_lines(path):
        pass


def test_merged_jobs_keep_their_places(tmp_path: Path) -> None:
    """A job replaces the stored one with its key, where that stands; the others follow in their own order."""
    directory = RunDirectory(tmp_path)
    directory.write_jobs(map(job, "abcd"))
    with temporary_lines(tmp_path) as given:
        given.extend([job("z"), job("d", "a dog"), job("y"), job("b", "an owl")])
        merged = directory.merge_jobs(given, ["x", "y", "x", "c"])
    assert (6, ["x", "x"]) == merged
    expected = [job("a"), job("b", "an owl"), job("c"), job("d", "a dog"), job("z"), job("y")]
    assert expected == list(directory.jobs())


def test_jobs_are_merged_in_bounded_memory(tmp_path: Path) -> None:
    """Neither the stored jobs nor those that replace them are kept, but a hash and a place of each."""
    directory, count = RunDirectory(tmp_path), 5_000
    directory.write_jobs(job(f"cat-{number}", "purring " * 20) for number in range(count))
    with temporary_lines(tmp_path) as given:
        tracemalloc.start()
        try:
            given.extend(job(f"cat-{number}", "sleeping " * 20) for number in reversed(range(count)))
            assert (count, []) == directory.merge_jobs(given, [])
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
    assert {"sleeping " * 20} == {one.input.prompt for one in directory.jobs()}

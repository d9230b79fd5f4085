"""Job files of any length are planned in bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from kling_async.cli.options import Options
from kling_async.cli.plan import RunPlan, raise_for_faults
from kling_async.cli.start import JobFile, plan_file
from kling_async.types.errors import InputError

MIB = 1 << 20
ROWS = 20_000


def written(path: Path, count: int, *, keys: bool = True) -> Path:
    """Write a job file."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            key = {"key": f"cat-{number}"} if keys else {}
            file.write(json.dumps({**key, "prompt": f"a cat, number {number}, {'purring ' * 20}"}) + "\n")
    return path


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "no keys"])
def test_a_plan_keeps_no_row(tmp_path: Path, keys: bool) -> None:
    """Of each job a hash of the key is left, whether the file has it or it was generated."""
    path = written(tmp_path / "jobs.jsonl", ROWS, keys=keys)
    next(JobFile(str(path)).stream(RunPlan(Options(provider=("gptproto",)))))  # what is imported late counts before
    plan = RunPlan(Options(provider=("gptproto",)))
    tracemalloc.start()
    try:
        count = sum(1 for _ in JobFile(str(path)).stream(plan))
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()
    assert (ROWS, ROWS) == (count, plan.summary.jobs)


@pytest.mark.parametrize("json_lines", [True, False], ids=["--json", "shown"])
def test_a_plan_is_printed_in_bounded_memory(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], json_lines: bool
) -> None:
    """All jobs are on stdout with --json, and three requests without, and neither way keeps them."""
    path = written(tmp_path / "jobs.jsonl", ROWS)
    options = Options(provider=("gptproto",), json=json_lines)
    plan_file(JobFile(str(written(tmp_path / "one.jsonl", 1))), options, limit=None)
    capfd.readouterr()
    tracemalloc.start()
    try:
        plan_file(JobFile(str(path)), options, limit=None)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
    out, err = capfd.readouterr()
    assert "20,000 jobs" in err
    if json_lines:
        assert [f"cat-{number}" for number in range(ROWS)] == [json.loads(line)["key"] for line in out.splitlines()]
    else:
        assert "and 19,997 more" in err + out


def test_a_fault_at_the_end_prints_no_job(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A key that was used before is found at the end, with both lines, and only the fault is on stdout."""
    path = written(tmp_path / "jobs.jsonl", 3000)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "cat-17", "prompt": "another cat"}\n')
    with pytest.raises(InputError, match="1 line of"):
        plan_file(JobFile(str(path)), Options(provider=("gptproto",), json=True), limit=None)
    out, err = capfd.readouterr()
    assert [("key", 3001)] == [(one["field"], one["line"]) for one in map(json.loads, out.splitlines())]
    assert 'duplicate key "cat-17" (first used on line 18)' in " ".join(err.split())


def test_a_generated_key_that_a_row_has_is_found(tmp_path: Path) -> None:
    """A row whose key is the one that was generated for an earlier row is a fault."""
    path = written(tmp_path / "jobs.jsonl", 2, keys=False)
    [key, _] = [job.key for job in JobFile(str(path)).stream(RunPlan(Options(provider=("gptproto",))))]
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, "prompt": "another cat"}) + "\n")
    plan = RunPlan(Options(provider=("gptproto",)))
    assert 2 == len(list(JobFile(str(path)).stream(plan)))
    with pytest.raises(InputError, match="1 line of"):
        raise_for_faults(plan, str(path))

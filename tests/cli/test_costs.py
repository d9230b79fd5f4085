"""`kling-async costs`: every submission that may have been billed, over all runs, and never one twice."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import CALMLY, write


def test_the_costs_of_all_runs(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """The sum is what the provider has charged, with retries and without refusals; folders may contain each other."""
    write("a.csv", {"x": "a cat", "y": "a dog [[refused]]"})
    write("b.csv", {"z": "an owl", "u": "a fox [[lost]]"})
    assert 1 == typed("batch", "a.csv", "-o", "all/a", *CALMLY)
    assert 1 == typed("batch", "b.csv", "-o", "all/b", *CALMLY)
    assert 0 == typed("retry", "all/a", "x", "--set", "prompt=a red cat", "--progress", "none")
    capfd.readouterr()
    assert 0 == typed("costs", "all", "all/a", "--json")
    [one] = map(json.loads, capfd.readouterr().out.splitlines())
    assert ("apiinone", "kling-image-o1", 4, 3, 0.036, 0.012, 0) == tuple(
        one[name] for name in ("provider", "model", "submissions", "succeeded", "spent", "at_risk", "unpriced")
    )
    assert Decimal("0.048") == sandbox.spent
    assert 0 == typed("costs", "all/b", "--json", "model,spent")
    assert {"model": "kling-image-o1", "spent": 0.012} == json.loads(capfd.readouterr().out)
    assert 0 == typed("costs", "all")
    told = capfd.readouterr()
    assert "2 runs, 4 submissions: $0.036, possibly $0.012 more." in told.err
    assert [1, 1] == [told.out.count(name) for name in ("kling-image-o1", "apiinone")]
    assert one["day"] in told.out


def test_a_run_that_cannot_be_read_is_no_silent_gap(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """The others are summed up, and the code is 1; without any run there is nothing to sum up."""
    write("a.csv", {"x": "a cat"})
    for name in ("a", "b"):
        assert 0 == typed("batch", "a.csv", "-o", name, *CALMLY)
    Path("b/journal.db").write_bytes(b"no journal at all" * 100)
    capfd.readouterr()
    assert 1 == typed("costs")
    told = capfd.readouterr().err
    assert "b: The journal" in told
    assert "1 run, 1 submission: $0.012." in told
    assert 2 == typed("costs", "--json", "key")
    Path("empty").mkdir()
    assert 0 == typed("costs", "empty")
    assert "0 runs, 0 submissions: $0.00." in capfd.readouterr().err
    assert 2 == sandbox.submits

"""What it takes to finish a run, in words and in flags."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from kling_async.cli.budget import Needed
from kling_async.cli.options import Options

SOME = Needed(spent=Decimal("1.2"), rest=Decimal("0.60"), jobs=20, unpriced=(), options=Options())


@pytest.mark.parametrize(
    ("needed", "flags", "told"),
    [
        (SOME, "--max-cost 1.80", "--max-cost 1.80 would finish it: $1.20 spent at most, and up to $0.60 for 20 jobs "),
        (evolve(SOME, rest=Decimal("0.0125"), jobs=1), "--max-cost 1.2125", "up to $0.0125 for 1 job not sent"),
        (
            evolve(SOME, unpriced=("m", "m"), options=Options(accept_changed=True)),
            "--max-cost 1.80 --price m=USD --accept-changed",
            "--max-cost 1.80 would finish it, plus what 2 jobs without a known price cost: ",
        ),
    ],
)
def test_what_would_finish_a_run_is_never_too_little(needed: Needed, flags: str, told: str) -> None:
    """Amounts are told to their last digit, and what has no price is told as that."""
    assert flags == needed.flags
    assert told in str(needed)

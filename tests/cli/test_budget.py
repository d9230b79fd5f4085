"""The budget that finishes a run, as text and as flags."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from kling_async.cli.budget import Needed
from kling_async.cli.options import Options

SOME = Needed(spent=Decimal("1.2"), rest=Decimal("0.60"), jobs=20, unpriced=(), options=Options())


@pytest.mark.parametrize(
    ("needed", "flags", "text"),
    [
        (
            SOME,
            "--max-cost 1.80",
            "--max-cost 1.80 would finish it: at most $1.20 spent, up to $0.60 for 20 ",
        ),
        (evolve(SOME, rest=Decimal("0.0125"), jobs=1), "--max-cost 1.2125", "up to $0.0125 for 1 remaining job."),
        (
            evolve(SOME, unpriced=("m", "m"), options=Options(accept_changed=True)),
            "--max-cost 1.80 --price m=USD --accept-changed",
            "--max-cost 1.80 would finish it, plus the cost of 2 jobs without a known price: ",
        ),
    ],
)
def test_what_would_finish_a_run_is_never_too_little(needed: Needed, flags: str, text: str) -> None:
    """Amounts are exact, and jobs without a price are counted."""
    assert flags == needed.flags
    assert text in str(needed)

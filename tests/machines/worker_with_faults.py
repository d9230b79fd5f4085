"""A worker with slots of its own, whose clock may be wrong, and which may lack a guard, as a control.

The variable KLING_TEST_WORKER has JSON: `slots`, `clock` in seconds that its clock is ahead, and `without`: "journal",
or a guard of `tests/faults/gate_process.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import evolve

from kling_async import Client, Limits, PostgresJournal
from kling_async.cli import main
from kling_async.integrations import chunk_runner, run_session
from kling_async.system.clock import SystemClock

sys.path += [str(Path(__file__).parents[2])]  # last: kling_async is what is installed

from tests.faults.gate_process import leave_out
from tests.machines.worker_without_journal import Unjournaled

SETTINGS = json.loads(os.environ["KLING_TEST_WORKER"])


class WrongClock(SystemClock):
    """Is ahead."""

    def now(self) -> float:
        return super().now() + float(SETTINGS["clock"])

    def utc(self) -> datetime:
        return super().utc() + timedelta(seconds=SETTINGS["clock"])


class GuardedJournal(PostgresJournal):
    """Lacks the guard that is left out, if any is."""

    def __init__(self, *values: Any, **settings: Any) -> None:
        super().__init__(*values, **settings)
        leave_out(SETTINGS["without"], self)


def client(provider: str, *, limits: Mapping[str, Limits], storage: str | None) -> Client:
    """Make the client of the worker."""
    limited = {name: evolve(one, max_open=SETTINGS["slots"]) for name, one in limits.items()}
    return Client(provider, limits=limited, storage=storage, clock=WrongClock())


if __name__ == "__main__":
    chunk_runner.Client = client  # type: ignore[assignment,misc]
    run_session.PostgresJournal = GuardedJournal  # type: ignore[misc]
    if SETTINGS["without"] == "journal":
        chunk_runner.RunSession = Unjournaled  # type: ignore[misc]
    main()

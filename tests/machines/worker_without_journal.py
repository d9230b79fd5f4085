"""A worker that keeps no journal, as a control: killed, it pays twice."""

from __future__ import annotations

from typing import Any

from kling_async.cli import main
from kling_async.integrations import chunk_runner
from kling_async.integrations.run_session import RunSession


class Unjournaled(RunSession):
    """Does the jobs of its chunks whatever became of them before."""

    def __init__(self, *values: Any, **settings: Any) -> None:
        super().__init__(*values, **settings)
        self._journal = None  # type: ignore[assignment]


if __name__ == "__main__":
    chunk_runner.RunSession = Unjournaled  # type: ignore[misc]
    main()

"""Where the jobs of a batch come from: a list, an iterator, or one that waits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import TypeAlias

import anyio.lowlevel

from .errors import InputError, InputFault
from .inputs import Input, Job

__all__ = ["Jobs", "check_keys", "pulled"]

Jobs: TypeAlias = Iterable[Job | Input] | AsyncIterable[Job | Input]


async def pulled(jobs: Jobs) -> AsyncGenerator[object]:
    """Yield jobs one by one; whatever the iterator raises is raised."""
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
        return
    # An iterator that never waits would keep everybody else from running. Nothing is pulled that may not be handed on.
    await anyio.lowlevel.checkpoint()
    for job in jobs:
        yield job
        await anyio.lowlevel.checkpoint()


def check_keys(jobs: Sequence[object]) -> None:
    """Refuse a list in which two jobs have one key, before anything is sent."""
    seen = dict[str, int]()
    for position, item in enumerate(jobs):
        if isinstance(item, Job) and item.key is not None and seen.setdefault(item.key, position) != position:
            fault = InputFault(f"jobs[{position}].key", item.key, f"is the key of jobs[{seen[item.key]}], too")
            raise InputError.of("Two jobs have one key", [fault])

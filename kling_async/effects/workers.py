"""Tasks that outlive the callers who asked for their work.

No request in flight is ever cancelled: a submission whose caller goes away is still paid for, and its id must not be
lost with it. So each request runs in a task of the client's own, under a shield, and a caller who is cancelled only
stops listening. Requests are bounded by their own deadline, and closing waits for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from ..errors import InputError

__all__ = ["Workers"]

T = TypeVar("T")


class _Errand(Generic[T]):
    """One piece of work, what became of it, and whether anybody still listens."""

    def __init__(self, work: Callable[[], Awaitable[T]], unheard: Callable[[T], None]) -> None:
        self._work = work
        self._unheard = unheard
        self._done = anyio.Event()
        self._listening = True
        self._result: list[T] = []
        self._error: Exception | None = None

    async def run(self) -> None:
        with anyio.CancelScope(shield=True):
            try:
                self._result.append(await self._work())
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                self._error = error
        self._done.set()
        if not self._listening:
            self._tell()

    async def result(self) -> T:
        try:
            await self._done.wait()
        except BaseException:
            self._listening = False
            if self._done.is_set():
                self._tell()
            raise
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _tell(self) -> None:
        for result in self._result:
            self._unheard(result)


class Workers:
    """The client's own tasks."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        group, self._group = self._group, None
        if group is not None:
            # Errands keep their errors to themselves, so the group is left as if nothing had happened: handed the
            # caller's error, it would wrap it in an ExceptionGroup.
            await group.__aexit__(None, None, None)

    async def run(self, work: Callable[[], Awaitable[T]], *, unheard: Callable[[T], None]) -> T:
        """Do work in a task of its own and return its result.

        If the caller is cancelled meanwhile, the work goes on, and its result is given to `unheard`.

        Raises:
            InputError: the client is not open.
        """
        if self._group is None:
            raise InputError("The client is not open: use it inside `async with Client() as client:`")
        errand = _Errand(work, unheard)
        self._group.start_soon(errand.run)
        return await errand.result()

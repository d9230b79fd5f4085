"""Short tracebacks for wrong input: they end at the caller's own line, which is the one to mend.

Nothing in the package has failed when an InputError is raised, and its text names each field. Other errors keep their
frames. With the logger `kling_async` at DEBUG, as `KLING_LOG=debug` sets it, an InputError keeps them too.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from types import FrameType, TracebackType
from typing import Final, TypeVar, cast

from ..types.errors import InputError

__all__ = ["short_tracebacks", "shorten"]

_Function = TypeVar("_Function", bound=Callable[..., object])

_log = logging.getLogger(__name__)

_HIDDEN: Final = frozenset(
    {__name__.partition(".")[0], "anyio", "asyncio", "attr", "concurrent", "contextlib", "outcome", "threading", "trio"}
)
"""The package, and the libraries that call it or that it calls; the user's own code may stand between them."""


def short_tracebacks(function: _Function) -> _Function:
    """Shorten the traceback of an InputError that a function or a coroutine function raises.

    Not for functions with a secret among their arguments: other errors show the arguments to a traceback that prints
    locals.
    """
    if inspect.iscoroutinefunction(function):
        asynchronous = cast("Callable[..., Awaitable[object]]", function)

        @wraps(function)
        async def wait(*args: object, **settings: object) -> object:
            try:
                return await asynchronous(*args, **settings)
            except InputError as error:
                shorten(error)
                raise

        return cast("_Function", wait)

    @wraps(function)
    def call(*args: object, **settings: object) -> object:
        try:
            return function(*args, **settings)
        except InputError as error:
            shorten(error)
            raise

    return cast("_Function", call)


def shorten(error: BaseException) -> None:
    """Remove the frames of the package, and of what it runs in, from the traceback of an InputError and its causes."""
    if isinstance(error, InputError) and not _log.isEnabledFor(logging.DEBUG):
        for one in _chain(error):
            one.__traceback__ = _callers(one.__traceback__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = set[int]()
    shown: BaseException | None = error
    while shown is not None and id(shown) not in seen:
        seen.add(id(shown))
        yield shown
        shown = shown.__cause__ or shown.__context__


def _callers(trace: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    for entry in reversed(entries):
        if not _is_hidden(entry.tb_frame):
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def _is_hidden(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return module in _HIDDEN or frame.f_code.co_filename.startswith("<attrs generated")

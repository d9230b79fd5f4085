"""Ctrl-C and SIGTERM, as something that is heard and not obeyed at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TypeVar

import anyio
import sniffio

from ..errors import InputError

__all__ = ["hear_signals", "hold_interrupts"]

_Function = TypeVar("_Function", bound=Callable[..., object])


async def hear_signals(heard: Callable[[], bool]) -> None:
    """Call a function at each Ctrl-C or SIGTERM, until it returns False; then they mean again what they meant before.

    Raises:
        InputError: signals cannot be heard here: outside the main thread, or on Windows.
    """
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if not heard():
                    return
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"stop_on_signals needs the main thread, and no Windows: {error}") from error


def hold_interrupts(function: _Function) -> _Function:
    """Keep Ctrl-C out of a function: it arrives at the program's own next await instead.

    Under trio it is otherwise raised in whatever line runs, also behind a shield; asyncio cancels the program's task.
    """
    if sniffio.current_async_library() != "trio":
        return function
    from trio.lowlevel import enable_ki_protection  # noqa: PLC0415 - only who runs trio has it

    return enable_ki_protection(function)

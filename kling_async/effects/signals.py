"""Ctrl-C and SIGTERM, as something that is heard and not obeyed at once."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio

from ..errors import InputError

__all__ = ["hear_signals"]


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

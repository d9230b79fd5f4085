"""Objects that must stay in their process."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["NonCopyable"]


class NonCopyable:
    """Base of objects that hold API keys or open connections: pickling or copying one raises TypeError."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"A {type(self).__name__} cannot be pickled or copied: it holds keys or open connections. "
            "Make one in each process that needs it."
        )

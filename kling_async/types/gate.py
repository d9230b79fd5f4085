"""The gate of a journal that several clients share: what it is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import field, frozen

from .limits import SpeedLimit

__all__ = ["Hold", "SendCheck", "SharedAccount"]

SendCheck: TypeAlias = Callable[[], None]
"""Is called immediately before the first byte of a submission. Raises NotSent if it must not leave any more."""


@frozen(kw_only=True)
class SharedAccount:
    """A provider account, as all clients know it that use it with the same key. Its text has no key.

    Attributes:
        provider: the provider's name.
        origin: the origin that submissions are sent to.
        key_hash: a hash of the API key.
    """

    provider: str
    origin: str
    key_hash: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.provider} at {self.origin}"


@frozen(kw_only=True)
class Hold:
    """The answer "not before then" to a job that was to be submitted; nothing was written, and nothing was sent.

    Attributes:
        seconds: after which the gate is to be asked again, above 0.
        limit: what holds back every job of the account; None where it is this job alone, for want of money.
    """

    seconds: float
    limit: SpeedLimit | None

"""The webhooks of a sandbox that nothing has sent yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field

from .callbacks import Callback

__all__ = ["Outbox"]


@define(eq=False)
class Outbox:
    """Keeps webhooks until there is a sender, and then hands each to it."""

    _kept: list[Callback] = field(factory=list[Callback], init=False)
    _sender: Callable[[Callback], None] | None = field(default=None, init=False)

    def add(self, callbacks: Iterable[Callback]) -> None:
        """Add webhooks that are to be sent."""
        for callback in callbacks:
            if self._sender is None:
                self._kept.append(callback)
            else:
                self._sender(callback)

    def listen(self, sender: Callable[[Callback], None] | None) -> list[Callback]:
        """Hand each further webhook to a sender, and return those that were kept; None ends that."""
        kept, self._kept, self._sender = self._kept, [], sender
        return kept

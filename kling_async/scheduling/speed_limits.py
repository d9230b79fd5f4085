"""Where the limits of an account are from: set by the user, learned, documented, or guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from ..types.limits import LimitKind, LimitOrigin, Limits, SpeedLimit
from ..types.sources import Certainty, Source
from .learning import AccountLimits

__all__ = ["LimitOrigins", "learned_limits", "starting_limits"]


@frozen(kw_only=True)
class LimitOrigins:
    """Where the limits of one account are from, as long as nothing is learned.

    Attributes:
        provider: the account's provider.
        set_by_user: whether the user has set them.
        sources: where those of the provider were read; it documents no others.
    """

    provider: str
    set_by_user: bool
    sources: Mapping[LimitKind, Source]

    def limit(self, kind: LimitKind, value: float, origin: LimitOrigin | None = None) -> SpeedLimit:
        """Return a limit with its origin, by default that of the settings."""
        return SpeedLimit(provider=self.provider, kind=kind, value=value, origin=origin or self._origin(kind))

    def _origin(self, kind: LimitKind) -> LimitOrigin:
        if self.set_by_user:
            return LimitOrigin.USER
        source = self.sources.get(kind)
        documented = source is not None and source.certainty is Certainty.DOCUMENTED
        return LimitOrigin.DOCUMENTED if documented else LimitOrigin.GUESSED


def starting_limits(limits: Limits, origins: LimitOrigins, *, known: AccountLimits) -> Iterator[SpeedLimit]:
    """Yield the limits that an account starts with; what is not limited is left out.

    Args:
        limits: those of the settings.
        origins: where these are from.
        known: what was learned of the account before.
    """
    learned = {} if origins.set_by_user else {one.kind: one for one in learned_limits(origins.provider, known)}
    for kind in (LimitKind.RATE, LimitKind.SLOTS, LimitKind.SUBMITTING, LimitKind.POLLS):
        value: float | None = getattr(limits, kind)
        if kind in learned:
            yield learned[kind]
        elif value is not None:
            yield origins.limit(kind, value)


def learned_limits(provider: str, known: AccountLimits) -> Iterator[SpeedLimit]:
    """Yield the limits that were learned of an account."""
    for kind, value in ((LimitKind.RATE, known.per_second), (LimitKind.SLOTS, known.slots)):
        if value is not None:
            yield SpeedLimit(provider=provider, kind=kind, value=value, origin=LimitOrigin.LEARNED)

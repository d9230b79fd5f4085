"""Count refusals of accounts, to end a batch that would only collect more of them."""

from __future__ import annotations

from attrs import define, field

from ..scheduling.retry import is_account_wide
from ..types.errors import KlingError

__all__ = ["AccountRefusals"]


@define
class AccountRefusals:
    """Counts the refusals in a row of the accounts in a batch.

    Jobs that name their provider are counted by provider, since another one may take its own. All other jobs are
    counted together: they would go to the provider that refuses, which is never busy.

    Attributes:
        stop_after: number of refusals in a row that end the batch.
    """

    stop_after: int
    _in_a_row: dict[str | None, int] = field(factory=dict[str | None, int])

    def add_job(self, provider: str | None) -> None:
        """Add a job that was started, with the provider that it names."""
        self._in_a_row.setdefault(provider, 0)

    def add_result(self, provider: str | None, error: KlingError | None) -> bool:
        """Add the result of a job, with the provider that it names; return whether the batch is to end."""
        refused = is_account_wide(error)
        self._in_a_row[provider] = self._in_a_row.get(provider, 0) + 1 if refused else 0
        counts = self._in_a_row.values() if provider is not None else [self._in_a_row[None]]
        return refused and min(counts) >= self.stop_after

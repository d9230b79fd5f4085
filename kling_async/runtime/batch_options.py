"""The settings of one batch: as a caller gives them, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

from attrs import frozen

from ..journal.base import Journal
from ..providers.selection import Prefer
from ..types.provenance import ProvenanceMode
from ..types.refusals import OnRefused
from .destinations import Destination
from .sidecars import check_mode

__all__ = ["BatchOptions", "BatchSettings"]


class BatchSettings(TypedDict, total=False):
    """The keyword arguments that `Client.map` shares with `Client.batch`, which describes them."""

    provider: str | Sequence[str] | None
    journal: str | Path | Journal | None
    save_to: str | Path | None
    provenance: ProvenanceMode | None
    max_open: int | None
    max_cost: Decimal | float | None
    prices: Mapping[str, Decimal | float] | None
    prefer: Prefer
    failover: bool
    wait_timeout: float
    stop_after: int
    resubmit_changed: bool
    resubmit_failed: bool
    stop_on_signals: bool
    on_refused: OnRefused | None


@frozen(kw_only=True)
class BatchOptions:
    """The settings of one batch; `Client.batch` describes them.

    Attributes:
        max_open: the maximum number of jobs that are pulled and not yet delivered.
        ordered: deliver outcomes in the order of the jobs.
        wait_timeout: seconds that one job may take.
        stop_after: account-wide refusals in a row after which to stop.
        save_to: the place for the files; None saves none.
        provenance: where the provenance of the files goes; None saves none.
        stop_on_signals: let the first Ctrl-C or SIGTERM stop submitting only.
        on_refused: is asked for another input in the place of a refused one.

    Raises:
        InputError: `provenance` is none of its words, or no files are saved.
    """

    max_open: int
    ordered: bool = False
    wait_timeout: float = 3600.0
    stop_after: int = 3
    save_to: Destination | None = None
    provenance: ProvenanceMode | None = None
    stop_on_signals: bool = False
    on_refused: OnRefused | None = None

    def __attrs_post_init__(self) -> None:
        check_mode(self.provenance, saves=self.save_to is not None)

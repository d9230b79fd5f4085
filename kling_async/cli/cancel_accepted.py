"""Cancel at providers what they have accepted, and say what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import field, frozen

from ..client import Client
from ..journal.base import Journal
from ..types.errors import KlingError, Unsupported
from ..types.formatting import format_count
from ..types.prediction import Prediction
from .console import echo, escape

__all__ = ["Cancelled", "cancel_accepted"]


@frozen
class Cancelled:
    """What came of cancelling predictions.

    Attributes:
        seen: the predictions as their providers describe them now.
        cannot: why others could not be cancelled, and how many.
    """

    seen: list[Prediction] = field(factory=list[Prediction])
    cannot: Counter[str] = field(factory=Counter[str])


async def cancel_accepted(accepted: Sequence[Prediction], *, journal: Journal | None) -> Cancelled:
    """Ask the providers to cancel predictions, and print what came of it.

    Args:
        accepted: the predictions, which have not ended as far as is known.
        journal: where their ends are written down; None leaves that to the process that polls them.
    """
    done = Cancelled()
    if not accepted:
        echo("Nothing is running at a provider.")
        return done
    async with Client(accepted[0].provider, journal=journal) as client:
        for prediction in accepted:
            try:
                done.seen.append(await client.cancel(prediction))
            except Unsupported as error:
                done.cannot[error.message] += 1
            except KlingError as error:
                done.cannot[f"{prediction.key}: {error.message}"] += 1
    for status, count in Counter(one.status for one in done.seen).items():
        running = "" if status.is_terminal else ": the provider was asked to cancel"
        echo(f"{format_count(count, 'job')} {status.value}{running}.")
    for cause, count in done.cannot.items():
        echo(f"[yellow]{format_count(count, 'job')} still running[/]: {escape(cause)}.")
    return done

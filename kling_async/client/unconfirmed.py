"""What a client does about submissions whose arrival at the provider is unknown."""

from __future__ import annotations

from ..journal.submission import Decision, Submission
from ..journal.writer import JournalWriter
from ..providers.codec.fields import parse_id
from ..runtime.completion import prediction_of
from ..runtime.settings import positive_float
from ..runtime.tracebacks import short_tracebacks
from ..system.interrupts import defer_interrupts
from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.prediction import Prediction
from .base import WAIT_TIMEOUT
from .queue import QueueClient

__all__ = ["UnconfirmedClient"]


class UnconfirmedClient(QueueClient):
    """Lists and resolves unconfirmed submissions; `Client` describes the arguments."""

    @defer_interrupts
    async def unconfirmed(self) -> list[Submission]:
        """Return submissions in the journal whose arrival at the provider is unknown.

        `attach`, `resubmit` and `abandon` resolve them.

        Raises:
            InputError: the client has no journal.
        """
        return await self._require_journal.unconfirmed()

    @defer_interrupts
    @short_tracebacks
    async def attach(self, key: str, id: str) -> Prediction:
        """Record the provider's id of an unconfirmed submission, and return its prediction.

        Raises:
            InputError: nothing under this key is unconfirmed, or the id is malformed.
        """
        if parse_id(id) is None:
            raise InputError.of("Nothing to attach", [InputFault("id", id, "must be the provider's id")], key=key)
        resolved = await self._require_journal.resolve(key, Decision.ATTACHED, id=id)
        return resolved.prediction or Prediction(provider=resolved.provider, model=resolved.model, id=id, key=key)

    @defer_interrupts
    @short_tracebacks
    async def resubmit(self, key: str, *, input: Input | None = None, wait_timeout: float = WAIT_TIMEOUT) -> Prediction:
        """Submit an unconfirmed job again, which may pay for it twice, and return once that is accepted.

        Args:
            key: the job's key.
            input: the job's input; needed where it holds local media or signed URLs, which a journal does not keep.
            wait_timeout: as for `submit`.

        Raises:
            InputError: nothing under this key is unconfirmed, or the journal does not hold all of its input.
            NotSent, Refused, AnswerLost: as `submit` does.
        """
        wait_for, journal = positive_float("wait_timeout", wait_timeout), self._require_journal
        return prediction_of(await self._dispatcher.resubmit(key, input, self._rules, journal, wait_for=wait_for))

    @defer_interrupts
    @short_tracebacks
    async def abandon(self, key: str) -> None:
        """Give up an unconfirmed submission: it is not listed any more, and never submitted again.

        Raises:
            InputError: nothing under this key is unconfirmed.
        """
        await self._require_journal.resolve(key, Decision.ABANDONED)

    @property
    def _require_journal(self) -> JournalWriter:
        if self._dispatcher.journal is None:
            fault = InputFault("journal", None, "must be the file that the submissions were written to")
            raise InputError.of("The client has no journal", [fault])
        return self._dispatcher.journal

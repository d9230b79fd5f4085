"""A provider on top, a transport below: inputs in, predictions out, and nothing sent twice that may have arrived."""

from __future__ import annotations

import logging
from typing import Final

from .effects.transport import Transport
from .errors import AnswerLost, KlingError
from .inputs import Job
from .planning.retry import Action, judge_submission
from .prediction import Prediction, Status
from .providers import Provider

__all__ = ["Gateway"]

_log = logging.getLogger(__name__)

_POLL_ADVICE: Final = "The prediction itself goes on at the provider; ask again with client.wait(prediction)."
_WORDS_KEPT: Final = 100
"""How many unknown status words are remembered, so that each is logged once."""


class Gateway:
    """One provider, reached through one transport."""

    def __init__(self, *, provider: Provider, transport: Transport) -> None:
        self.provider = provider
        self._transport = transport
        self._unknown_words: set[str] = set()

    async def submit(self, job: Job) -> Prediction:
        """Submit a job which the provider's `check` has passed, once, and return what was accepted.

        Raises:
            NotSent: nothing reached the provider.
            Refused: the provider said no.
            AnswerLost: it may have been accepted.
        """
        key = job.key
        try:
            # No name for the reply: see _light.
            prediction = self.provider.parse_submit(
                await self._transport.submit(self.provider.build_submit(job.input)), input=job.input, key=key
            )
        except KlingError as error:
            _light(error).key = key
            if isinstance(error, AnswerLost) or judge_submission(error).action is not Action.UNCONFIRMED:
                raise
            raise AnswerLost(
                f"No usable answer came to a submission: {error.message.removeprefix('The provider refused: ')}",
                provider=self.provider.name,
                key=key,
                id=error.id,
                http_status=error.http_status,
                excerpt=getattr(error, "excerpt", ""),
            ) from error
        self._note(prediction)
        return prediction

    async def poll(self, prediction: Prediction) -> Prediction:
        """Look at a prediction once, and return it as the provider tells it now.

        Raises:
            KlingError: no answer that can be read came; the prediction itself goes on.
        """
        try:
            seen = self.provider.parse_poll(
                await self._transport.poll(self.provider.build_poll(prediction.id)), prediction=prediction
            )
        except KlingError as error:
            _light(error).key, error.id = prediction.key, prediction.id
            # Advice of this one error's own goes before that of all; its kind's own is for submissions.
            own = vars(error).get("advice", "")
            error.may_be_billed, error.advice = True, f"{own} {_POLL_ADVICE}".lstrip()
            raise
        self._note(seen)
        return seen

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transport.aclose()

    def _note(self, prediction: Prediction) -> None:
        word = prediction.native_status
        known = prediction.status is not Status.RUNNING or word.strip().lower() in self.provider.statuses
        if known or word in self._unknown_words or len(self._unknown_words) >= _WORDS_KEPT:
            return
        self._unknown_words.add(word)
        _log.warning("%s uses an unknown status word %r; taken as still running", self.provider.title, word[:80])


def _light(error: KlingError) -> KlingError:
    """Take an error's traceback and context away: they hold the reply, of up to 4 MiB, as long as the error is kept.

    The error of a look is kept until the next one, so an outage with long pages would fill the memory.
    """
    error.__context__ = None
    return error.with_traceback(None)

"""A provider on top, a transport below: inputs in, predictions out, and nothing sent twice that may have arrived."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from .effects.clock import Clock
from .effects.transport import Transport
from .effects.workers import Workers
from .errors import AnswerLost, KlingError, WaitTimeout
from .inputs import Input
from .planning.cadence import next_check
from .planning.retry import Action, Patience, Verdict, judge_poll, judge_submission
from .prediction import Prediction, Status
from .providers import Provider

__all__ = ["Gateway"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_POLL_ADVICE: Final = "The prediction itself goes on at the provider; ask again with client.wait(prediction)."
_WORDS_KEPT: Final = 100
"""How many unknown status words are remembered, so that each is logged once."""


class Gateway:
    """One provider, reached through one transport."""

    def __init__(self, *, provider: Provider, transport: Transport, clock: Clock, workers: Workers) -> None:
        self.provider = provider
        self._transport = transport
        self._clock = clock
        self._workers = workers
        self._unknown_words: set[str] = set()

    async def submit(self, input: Input, *, key: str, until: float) -> Prediction:
        """Submit an input which the provider's `check` has passed, and return what was accepted.

        What certainly did not start is sent again until the time `until`.

        Raises:
            NotSent: nothing reached the provider.
            Refused: the provider said no.
            AnswerLost: it may have been accepted; it is not sent again.
        """

        def abandoned(prediction: Prediction) -> None:
            _log.warning(
                "accepted after its caller was cancelled: provider=%s id=%s key=%s",
                prediction.provider,
                prediction.id,
                prediction.key,
            )

        async def send() -> Prediction:
            return await self._workers.run(lambda: self._post(input, key), unheard=abandoned)

        return await self._persist(send, judge_submission, until=until)

    async def poll(self, prediction: Prediction, *, until: float) -> Prediction:
        """Look once at a prediction, again after errors that pass, until the time `until`.

        Raises:
            KlingError: the last error, when time ran out or the error does not pass.
        """
        began = self._clock.now()

        def judge(error: KlingError) -> Verdict:
            return judge_poll(error, asked_for=self._clock.now() - began)

        async def send() -> Prediction:
            return await self._workers.run(lambda: self._get(prediction), unheard=lambda _: None)

        return await self._persist(send, judge, until=until)

    async def wait(self, prediction: Prediction, *, wait_for: float) -> Prediction:
        """Look at a prediction until it is finished, for at most that many seconds, and return it.

        Raises:
            WaitTimeout: it is still running.
            KlingError: a look failed for a reason that does not pass.
        """
        began = self._clock.now()
        age = 0.0
        while not prediction.status.finished:
            if age >= wait_for:
                raise WaitTimeout(prediction, waited_for=wait_for)
            age = min(next_check(age), wait_for)
            await self._clock.sleep(began + age - self._clock.now())
            try:
                prediction = await self.poll(prediction, until=began + wait_for)
            except KlingError as error:
                if judge_poll(error, asked_for=self._clock.now() - began).action is Action.REPEAT:
                    raise WaitTimeout(prediction, waited_for=wait_for) from error
                raise
            age = max(age, self._clock.now() - began)
        return prediction

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transport.aclose()

    async def _persist(
        self, send: Callable[[], Awaitable[T]], judge: Callable[[KlingError], Verdict], *, until: float
    ) -> T:
        patience = Patience(dice=self._clock.dice)
        while True:
            try:
                return await send()
            except KlingError as error:
                wait = patience.after(error, judge(error))
                if wait is None or self._clock.now() + wait > until:
                    raise
                _log.info("sending again in %.2f s: %s", wait, error)
            await self._clock.sleep(wait)

    async def _post(self, input: Input, key: str) -> Prediction:
        request = self.provider.build_submit(input)
        try:
            reply = await self._transport.submit(request)
            prediction = self.provider.parse_submit(reply, input=input, key=key)
        except KlingError as error:
            error.key = key
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

    async def _get(self, prediction: Prediction) -> Prediction:
        try:
            reply = await self._transport.poll(self.provider.build_poll(prediction.id))
            seen = self.provider.parse_poll(reply, prediction=prediction)
        except KlingError as error:
            error.key, error.id = prediction.key, prediction.id
            error.may_be_billed, error.advice = True, _POLL_ADVICE
            raise
        self._note(seen)
        return seen

    def _note(self, prediction: Prediction) -> None:
        word = prediction.native_status
        known = prediction.status is not Status.RUNNING or word.strip().lower() in self.provider.statuses
        if known or word in self._unknown_words or len(self._unknown_words) >= _WORDS_KEPT:
            return
        self._unknown_words.add(word)
        _log.warning("%s uses an unknown status word %r; taken as still running", self.provider.title, word[:80])

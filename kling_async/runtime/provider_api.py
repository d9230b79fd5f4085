"""Submit and poll at one provider: its codec above, the transport below."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from attrs import evolve

from ..providers import Price, Provider
from ..providers.listing import Difference
from ..scheduling.lookups import is_in_window
from ..scheduling.notifications import copy_error
from ..scheduling.retry import may_have_started
from ..types.client_id import ClientId
from ..types.errors import AnswerLost, BadRequest, ContentRejected, KlingError, UnexpectedReply, Unsupported
from ..types.gate import SendCheck, SharedAccount
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input
from ..types.jobs import Job
from ..types.prediction import Prediction, Status
from ..types.webhooks import WebhookEvent

if TYPE_CHECKING:  # loads the HTTP libraries
    from ..transport.api import ApiTransport

__all__ = ["ProviderAPI", "SeenBody"]

_log = logging.getLogger(__name__)

_POLL_ADVICE: Final = "The prediction itself goes on at the provider; ask again with client.wait(prediction)."
_MAX_PAGES: Final = 200
_MAX_LOGGED: Final = 100
"""Unknown status words that are remembered, so that each is logged once."""


class SeenBody(Protocol):
    """The memory of the last response to the polls of one prediction.

    Attributes:
        last_body: the hash of its body, if it found the prediction running; else 0.
    """

    last_body: int


class ProviderAPI:
    """One provider, reached through one transport.

    Args:
        provider: builds requests and parses responses.
        transport: carries them.
    """

    def __init__(self, *, provider: Provider, transport: ApiTransport) -> None:
        self.provider = provider
        self._transport = transport
        self._unknown_statuses: set[str] = set()
        self.callback_url: str | None = None
        """The URL that submissions ask the provider to call."""

    @property
    def account(self) -> SharedAccount:
        """The account, by which all clients know it."""
        key_hash, origin = self._transport.key_hash, self._transport.origin
        return SharedAccount(provider=self.provider.name, origin=origin, key_hash=key_hash)

    def new_client_id(self, input: Input) -> ClientId | None:
        """Return a fresh client id for a submission; None where the provider takes none."""
        # The capability is that of the models that can do most.
        if self.provider.capabilities.repeat.value == "buys_again" or self.provider.repeat(input).value == "buys_again":
            return None
        return ClientId(value=str(uuid4()), origin=self._transport.origin, key_hash=self._transport.key_hash)

    def can_look_up(self, input: Input, client_id: ClientId, *, age: float) -> bool:
        """Return whether a submission of an earlier run, sent `age` seconds ago, may be looked up.

        It has to be of this origin and this key. Where a look-up repeats the submission, the provider must still know
        the key for long enough: beyond its window a repeat would buy again.
        """
        if not client_id.is_of(self._transport.origin, self._transport.key_hash):
            return False
        return not self.repeats(input) or is_in_window(age, self.provider.capabilities.replay_seconds.value)

    def repeats(self, input: Input) -> bool:
        """Return whether a look-up repeats the submission under its idempotency key, which buys it once at most."""
        return self.provider.repeat(input).value == "replayed"

    def sends_callback(self, input: Input) -> bool:
        """Return whether the submission of an input asks for a webhook at our URL."""
        return self.callback_url is not None and self.provider.takes_callback(input)

    async def submit(self, job: Job, client_id: ClientId | None = None, check: SendCheck | None = None) -> Prediction:
        """Submit a job, which the provider's `check` has passed, once, and return its prediction.

        Immediately before its first byte leaves, `check` is called, which may raise NotSent.

        Raises:
            NotSent: nothing reached the provider.
            Refused: the provider refused it.
            AnswerLost: it may have been accepted.
        """
        key, request = job.key, self.provider.build_submit(job.input)
        if self.callback_url is not None and self.sends_callback(job.input):
            request = self.provider.add_callback(request, self.callback_url)
        if client_id is not None:
            request = self.provider.add_client_id(request, client_id.value)
        try:
            # The response has no name here: see _drop_traceback.
            sending = self._transport.submit(request, check)
            prediction = self.provider.parse_submit(await sending, input=job.input, key=key)
        except KlingError as error:
            _drop_traceback(error).key = key
            if isinstance(error, AnswerLost) or not may_have_started(error):
                raise
            raise AnswerLost(
                f"No usable answer came to a submission: {error.message.removeprefix('The provider refused: ')}",
                provider=self.provider.name,
                key=key,
                id=error.id,
                http_status=error.http_status,
                excerpt=getattr(error, "excerpt", ""),
            ) from error
        self._log_unknown_status(prediction)
        return prediction

    async def look_up(self, job: Job, client_id: ClientId, check: SendCheck | None = None) -> Prediction:
        """Look up a submission by its client id, or repeat it under its idempotency key, and return its prediction.

        Raises:
            Refused: the provider refuses the submission itself, so that it was never accepted.
            AnswerLost: nothing was found, or no readable answer came, which proves nothing.
        """
        repeats = self.repeats(job.input)
        try:
            return await (self.submit(job, client_id, check) if repeats else self._find(job, client_id))
        except KlingError as error:
            # A repeat is refused as the submission was, or would have been: neither was ever accepted.
            if isinstance(error, AnswerLost) or (repeats and isinstance(error, (BadRequest, ContentRejected))):
                raise
            message = f"It could not be looked up: {error.message}"
            raise AnswerLost(message, provider=self.provider.name, key=job.key) from error

    async def _find(self, job: Job, client_id: ClientId) -> Prediction:
        request = self.provider.build_lookup(job.input, client_id.value)
        found = None
        if request is not None:
            try:
                response = await self._transport.poll(request)
                found = self.provider.parse_lookup(response, input=job.input, client_id=client_id.value, key=job.key)
            except KlingError as error:
                _drop_traceback(error).key = job.key
                raise
        if found is None:
            raise AnswerLost("It was not found at the provider", provider=self.provider.name, key=job.key)
        return found

    async def poll(self, prediction: Prediction, *, seen: SeenBody | None = None) -> Prediction:
        """Poll a prediction once, and return it as the provider describes it now.

        Args:
            prediction: as the last poll found it.
            seen: the memory of that poll's response; where it is unchanged, the prediction itself is returned.

        Raises:
            KlingError: no readable answer came; the prediction itself goes on.
        """
        try:
            polled = await self._poll(prediction, seen)
        except KlingError as error:
            _describe_poll_error(_drop_traceback(error), prediction)
            raise
        if polled is not prediction:
            self._log_unknown_status(polled)
        return polled

    async def poll_shared(self, predictions: Sequence[Prediction]) -> list[Prediction | KlingError]:
        """Poll several predictions by one request, and return them as the provider describes them now, in order.

        An error says that no readable answer came, for one of them or for all; the predictions themselves go on.
        """
        results: list[Prediction | KlingError]
        try:
            response = await self._transport.poll(self.provider.build_shared_poll(predictions))
            results = self.provider.parse_shared_poll(response, predictions=predictions)
        except KlingError as error:
            _drop_traceback(error)
            results = [copy_error(error) for _ in predictions]
        for result, prediction in zip(results, predictions, strict=True):
            if isinstance(result, Prediction):
                self._log_unknown_status(result)
            else:
                _describe_poll_error(_drop_traceback(result), prediction)
        return results

    async def _poll(self, prediction: Prediction, seen: SeenBody | None) -> Prediction:
        """Poll once; where the response says only that there is a result, request that as well."""
        provider = self.provider
        response = await self._transport.poll(provider.build_poll(prediction))
        if seen is not None:
            if provider.is_unchanged(response, prediction=prediction, last_body=seen.last_body):
                return prediction
            seen.last_body = 0
        request = provider.build_result(prediction, response)
        if request is None:
            polled = provider.parse_poll(response, prediction=prediction)
            if seen is not None and not polled.status.is_terminal:
                seen.last_body = hash(response.body)
            return polled
        result = await self._transport.poll(request)
        return self.provider.parse_result(result, prediction=prediction, polled=response)

    def read_webhook(self, event: WebhookEvent, prediction: Prediction) -> Prediction | None:
        """Return a prediction as a delivery describes it; None if it proves nothing, or cannot be read."""
        replies = [evolve(one, redact=self._transport.redact) for one in event.replies]
        if not replies:
            return None
        try:
            if len(replies) == 1:
                return self.provider.parse_poll(replies[0], prediction=prediction)
            return self.provider.parse_result(replies[1], prediction=prediction, polled=replies[0])
        except KlingError:
            return None  # a poll will tell, in its own words

    async def cancel(self, prediction: Prediction) -> None:
        """Ask the provider to cancel a prediction. Raises Unsupported if it cannot, and KlingError."""
        request = self.provider.build_cancel(prediction)
        if request is None:
            problem = f"{self.provider.title} cannot cancel"
            raise Unsupported(problem, provider=prediction.provider, key=prediction.key, id=prediction.id)
        try:
            self.provider.check_cancel(await self._transport.poll(request))
        except KlingError as error:
            _drop_traceback(error).key, error.id = prediction.key, prediction.id
            error.may_be_billed, error.advice = True, _POLL_ADVICE
            raise

    async def quote(self, request: HttpRequest) -> Price | None:
        """Send a request for a price, which charges nothing; None if the answer tells none. Raises KlingError."""
        try:
            return self.provider.parse_quote(await self._transport.poll(request))
        except KlingError as error:
            raise _about_no_job(error) from None

    async def balance(self, request: HttpRequest) -> Decimal | None:
        """Send a request for the account's balance in US dollars; None if the answer tells none. Raises KlingError."""
        try:
            return self.provider.parse_balance(await self._transport.poll(request))
        except KlingError as error:
            raise _about_no_job(error) from None

    async def compare_models(self) -> tuple[Difference, ...]:
        """Request the provider's models, and return how they differ from the table. Raises KlingError."""
        responses: list[HttpResponse] = []
        try:
            while (request := self.provider.build_listing(responses)) is not None:
                if len(responses) == _MAX_PAGES:
                    problem = f"The list of models does not end after {_MAX_PAGES} pages"
                    raise UnexpectedReply(problem, provider=self.provider.name)
                responses.append(await self._transport.poll(request))
            return self.provider.compare_listing(responses)
        except KlingError as error:
            raise _about_no_job(error) from None

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transport.aclose()

    def _log_unknown_status(self, prediction: Prediction) -> None:
        word = prediction.native_status
        known = prediction.status is not Status.RUNNING or word.strip().lower() in self.provider.statuses
        if known or word in self._unknown_statuses or len(self._unknown_statuses) >= _MAX_LOGGED:
            return
        self._unknown_statuses.add(word)
        _log.warning("%s uses an unknown status word %r; treated as still running", self.provider.title, word[:80])


def _describe_poll_error(error: KlingError, prediction: Prediction) -> None:
    error.key, error.id = prediction.key, prediction.id
    # The error's own advice goes first; the advice of its class is for submissions.
    own = vars(error).get("advice", "")
    error.may_be_billed, error.advice = True, f"{own} {_POLL_ADVICE}".lstrip()


def _about_no_job(error: KlingError) -> KlingError:
    error.may_be_billed = False
    return _drop_traceback(error)


def _drop_traceback(error: KlingError) -> KlingError:
    """Remove an error's traceback and context, which hold the response, of up to 4 MiB, as long as the error is kept.

    The error of a poll is kept until the next one, so an outage with long pages would fill the memory.
    """
    error.__context__ = None
    return error.with_traceback(None)

"""The interface of a provider: its facts, the requests it takes, and how its responses become a `Prediction`.

Theory of operation. A provider is pure: an input becomes an `HttpRequest`, an `HttpResponse` becomes a `Prediction` or
one of our errors. Each adapter finds the fields in its own bodies (`parse_envelope`, `parse_record`) and maps its own
status words and error codes (`statuses`, `error_rules`). This module draws the conclusions, the same for all: a
response to a submission is "accepted" if it holds an id, "refused" if it says so and holds none, and otherwise
unreadable, which leaves the submission unconfirmed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from attrs import evolve

from ..types.authorizer import Authorizer
from ..types.capabilities import Repeat
from ..types.errors import AnswerLost, KlingError, UnexpectedReply
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input
from ..types.limits import Limits
from ..types.prediction import Json, Output, OutputKind, Prediction, Status
from ..types.sources import Fact
from .authorizers import KeyAuthorizer
from .codec.envelope import Envelope, Record, update_prediction
from .codec.errors import ErrorRules, describe_redirect, error_for
from .codec.strict_json import excerpt, read_json
from .queries import Queries
from .spec import ModelSpec

__all__ = ["Provider"]


class Provider(Queries, ABC):
    """One provider: facts, requests and responses, beside its models.

    Attributes:
        origin: the origin of its API.
        api_key_env: the environment variable of its API key.
        api_key_pair_env: environment variables that, joined by a colon, are the API key where that one is not set.
        base_url_env: the environment variable that replaces its origin.
        schemes: names of the ways to send the API key; the first is the default.
        limits: default limits of an account: those of the lowest level that is documented, or careful ones.
        statuses: its status words in lower case. A word that is missing here means "still running".
        error_rules: the meaning of its error codes and messages, beyond that of HTTP statuses.
    """

    origin: ClassVar[str]
    api_key_env: ClassVar[str]
    api_key_pair_env: ClassVar[tuple[str, ...]] = ()
    base_url_env: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]] = ("bearer",)
    limits: ClassVar[Limits] = Limits()
    statuses: ClassVar[Mapping[str, Status]]
    error_rules: ClassVar[ErrorRules] = ErrorRules()

    @abstractmethod
    def build_submit(self, input: Input) -> HttpRequest:
        """Build the request that submits an input; `check` has passed it."""

    @abstractmethod
    def build_poll(self, prediction: Prediction) -> HttpRequest:
        """Build the request that polls a prediction. URLs in responses are never followed."""

    def may_share_poll(self, prediction: Prediction) -> bool:
        """Return whether one poll can ask for a prediction together with others, up to the capability `batch_poll`."""
        return False

    def build_shared_poll(self, predictions: Sequence[Prediction]) -> HttpRequest:
        """Build the request that polls several predictions, each of which may share a poll."""
        raise NotImplementedError(f"{self.title} has no poll for several predictions")

    def split_shared_poll(self, document: Json) -> Mapping[str, Json]:
        """Return, by id, the body that a poll of each prediction alone would bring."""
        raise NotImplementedError(f"{self.title} has no poll for several predictions")

    def build_result(self, prediction: Prediction, response: HttpResponse) -> HttpRequest | None:
        """Build the request for a result, where the response to a poll says only that there is one; else None."""
        return None

    def build_download(self, prediction: Prediction, output: Output) -> HttpRequest | None:
        """Build the request for an output that the API itself sends, for the API key; None for all others."""
        return None

    def build_cancel(self, prediction: Prediction) -> HttpRequest | None:
        """Build the request that cancels a prediction; None if this provider cannot."""
        return None

    def add_client_id(self, request: HttpRequest, client_id: str) -> HttpRequest:
        """Add the caller's own id to a submission, where `repeat` says that it is used; elsewhere it is left out."""
        return request

    def build_lookup(self, input: Input, client_id: str) -> HttpRequest | None:
        """Build the request that looks up a submission by its client id; None if this provider cannot."""
        return None

    def parse_lookup(
        self, response: HttpResponse, *, input: Input, client_id: str, key: str | None
    ) -> Prediction | None:
        """Parse the response to a look-up; None if it finds nothing, which does not prove that there is nothing.

        Raises:
            Refused: as `parse_submit`.
            UnexpectedReply: as `parse_submit`, and where the response is about another client id.
        """
        raise NotImplementedError(f"{self.title} has no look-up")

    @abstractmethod
    def parse_envelope(self, document: Json) -> Envelope:
        """Find the id, the error and the record in a body."""

    @abstractmethod
    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        """Read the record. Raises UnexpectedReply."""

    def authorizer(self, api_key: str, *, scheme: str | None = None) -> Authorizer:
        """Return the authorizer that sends an API key by a scheme, by default the first of `schemes`."""
        return KeyAuthorizer(api_key, scheme=scheme or self.schemes[0])

    def check_key(self, input: Input, api_key: str) -> None:
        """Raise InputError if a key is not of a kind that an input's model takes, where there are two kinds."""

    def repeat(self, input: Input) -> Fact[Repeat]:
        """Return the effect of submitting an input a second time, which may differ by model and endpoint."""
        self.spec(input)
        return self.capabilities.repeat

    def parse_submit(self, response: HttpResponse, *, input: Input, key: str | None) -> Prediction:
        """Parse the response to a submission.

        Raises:
            Refused: the provider refused it, or failed before it returned an id.
            UnexpectedReply: the response is neither an acceptance nor a refusal that can be read.
            AnswerLost: the response is a refusal with an id, or a redirect.
        """
        envelope, document, decode_error = self._envelope(response)
        if envelope.id is not None and not response.is_success:
            raise AnswerLost(
                f"{self.title} answered HTTP {response.status}, yet with an id",
                provider=self.name,
                key=key,
                id=envelope.id,
                http_status=response.status,
                excerpt=excerpt(response),
            )
        if response.is_redirect:
            # It may have been accepted before (303 means so), or a proxy may have answered: that is no refusal.
            raise AnswerLost(
                f"{self.title} answered {describe_redirect(response)}",
                provider=self.name,
                key=key,
                http_status=response.status,
                excerpt=excerpt(response),
                advice=f"{self._base_url_advice} {AnswerLost.advice}",
            )
        if envelope.id is None:
            raise self._error(response, envelope, decode_error, "The reply holds no usable id")
        accepted = Prediction(
            provider=self.name,
            model=self.spec(input).name,
            id=envelope.id,
            key=key,
            status=Status.QUEUED,
            native_status="",
            cost=self.cost(input),
            raw=document,
        )
        try:
            return self._update(accepted, envelope, response, document)
        except UnexpectedReply:
            # The id is what was paid for. The first poll reads the rest again.
            return accepted

    def parse_poll(self, response: HttpResponse, *, prediction: Prediction) -> Prediction:
        """Parse the response to a poll; the prediction keeps its id.

        Raises:
            Refused: the provider refused the poll.
            UnexpectedReply: the response cannot be read.
        """
        envelope, document, decode_error = self._envelope(response)
        self._check_poll(response, envelope, decode_error)
        return self._update_polled(prediction, envelope, response, document)

    def parse_shared_poll(
        self, response: HttpResponse, *, predictions: Sequence[Prediction]
    ) -> list[Prediction | KlingError]:
        """Parse the response to a poll of several predictions, in their order; an error is about one of them alone.

        Raises:
            Refused: the provider refused the poll.
            UnexpectedReply: the response cannot be read.
        """
        envelope, document, decode_error = self._envelope(response)
        self._check_poll(response, envelope, decode_error)
        bodies = self.split_shared_poll(document)
        return [self._parse_shared(one, bodies.get(one.id), response) for one in predictions]

    def _parse_shared(self, prediction: Prediction, body: Json, response: HttpResponse) -> Prediction | KlingError:
        if body is None:
            return UnexpectedReply("The reply leaves this id out", provider=self.name, http_status=response.status)
        try:
            return self._update_polled(prediction, self.parse_envelope(body), response, body)
        except KlingError as error:
            return error

    def _check_poll(self, response: HttpResponse, envelope: Envelope, decode_error: UnexpectedReply | None) -> None:
        refused = envelope.refused and "status" not in envelope.record
        if refused or decode_error is not None or not response.is_success:
            raise self._error(response, envelope, decode_error, "The reply cannot be read")

    def _update_polled(
        self, prediction: Prediction, envelope: Envelope, response: HttpResponse, document: Json
    ) -> Prediction:
        if self._is_unchanged(prediction, envelope):
            return evolve(prediction, raw=document)
        return self._update(prediction, envelope, response, document)

    def parse_result(self, response: HttpResponse, *, prediction: Prediction, polled: HttpResponse) -> Prediction:
        """Parse the response to `build_result`'s request; `polled` is that to the poll. Raises as `parse_poll` does."""
        return self.parse_poll(response, prediction=prediction)

    def check_cancel(self, response: HttpResponse) -> None:
        """Raise Refused if the provider refused to cancel; that it comes too late is no refusal."""
        if not response.is_success and response.status not in _TOO_LATE:
            envelope, _, decode_error = self._envelope(response)
            raise self._error(response, envelope, decode_error, "The reply cannot be read")

    def _is_unchanged(self, prediction: Prediction, envelope: Envelope) -> bool:
        """Return whether a record repeats the known status, as most do: parsing it costs more than all the rest."""
        native_status = prediction.native_status
        return (
            envelope.record.get("status") == native_status
            and not prediction.status.is_terminal
            and prediction.status is self.statuses.get(native_status.strip().lower(), Status.RUNNING)
            and prediction.created_at is not None
        )

    def _update(self, prediction: Prediction, envelope: Envelope, response: HttpResponse, document: Json) -> Prediction:
        spec = self.find_model(prediction.model)
        return update_prediction(
            prediction,
            self.parse_record(envelope, response),
            statuses=self.statuses,
            # A resumed prediction may name a model that the table no longer has.
            kind=spec.kind if spec else OutputKind.IMAGE,
            rules=self.error_rules,
            max_outputs=self._max_outputs(spec),
            failures_are_free=self.capabilities.failures_are_free.value is True,
            raw=document,
        )

    def _max_outputs(self, spec: ModelSpec | None) -> int:
        """Return the maximum number of outputs kept of one response: the most that a model allows, and a few more.

        It follows from the model, since a prediction resumed by its id does not know how many it was asked for.
        """
        specs = self.models.values() if spec is None else [spec]
        return max((one.max_outputs for one in specs), default=1) + _EXTRA_OUTPUTS

    @property
    def _base_url_advice(self) -> str:
        return f"Check the base URL (base_urls, or {self.base_url_env}): what redirects is hardly the API itself."

    def _envelope(self, response: HttpResponse) -> tuple[Envelope, Json, UnexpectedReply | None]:
        try:
            document = read_json(response, provider=self.name)
        except UnexpectedReply as error:
            return Envelope(record={}), None, error
        return self.parse_envelope(document), document, None

    def _error(
        self, response: HttpResponse, envelope: Envelope, decode_error: UnexpectedReply | None, fallback: str
    ) -> Exception:
        if not response.is_success or envelope.refused:
            message = envelope.message or (describe_redirect(response) if response.is_redirect else None)
            error = error_for(response, provider=self.name, rules=self.error_rules, code=envelope.code, message=message)
            if response.is_redirect:
                error.advice = self._base_url_advice
            return error
        return decode_error or UnexpectedReply(
            fallback, provider=self.name, http_status=response.status, path="$.data.id", excerpt=excerpt(response)
        )


_TOO_LATE: Final = (400, 404, 409)
"""HTTP statuses of a cancellation that comes too late: the prediction is finished, or its record is gone."""
_EXTRA_OUTPUTS: Final = 8

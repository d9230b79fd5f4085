"""The interface of a provider: its facts, the requests it takes, and how its responses become a `Prediction`.

Theory of operation. A provider is pure: an input becomes an `HttpRequest`, an `HttpResponse` becomes a `Prediction` or
one of our errors. Each adapter finds the fields in its own bodies (`parse_envelope`, `parse_record`) and maps its own
status words and error codes (`statuses`, `error_rules`). This module draws the conclusions, the same for all: a
response to a submission is "accepted" if it holds an id, "refused" if it says so and holds none, and otherwise
unreadable, which leaves the submission unconfirmed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from attrs import evolve

from ..types.authorizer import Authorizer
from ..types.capabilities import Repeat
from ..types.errors import AnswerLost, KlingError, UnexpectedReply
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input
from ..types.limits import LimitKind, Limits
from ..types.prediction import Json, Output, OutputKind, Prediction, Status
from ..types.sources import Fact, Source
from .authorizers import KeyAuthorizer
from .codec.envelope import Envelope, Record, update_prediction
from .codec.errors import describe_redirect
from .response_reader import ResponseReader
from .spec import ModelSpec

__all__ = ["Provider"]


class Provider(ResponseReader):
    """One provider: facts, requests and responses, beside its models.

    Attributes:
        origin: the origin of its API.
        api_key_env: the environment variable of its API key.
        api_key_pair_env: environment variables that, joined by a colon, are the API key where that one is not set.
        schemes: names of the ways to send the API key; the first is the default.
        limits: default limits of an account: those of the lowest level that is documented, or careful ones.
        limit_sources: where limits were read; those without a source are guesses.
        unlisted_kind: the kind of outputs of a model that is not in the table.
    """

    origin: ClassVar[str]
    api_key_env: ClassVar[str]
    api_key_pair_env: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ("bearer",)
    limits: ClassVar[Limits] = Limits()
    limit_sources: ClassVar[Mapping[LimitKind, Source]] = {}
    unlisted_kind: ClassVar[OutputKind] = OutputKind.IMAGE

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
            message = f"{self.title} answered HTTP {response.status}, yet with an id"
            raise self._lost(message, response, key=key, id=envelope.id)
        if response.is_redirect:
            # It may have been accepted before (303 means so), or a proxy may have answered: that is no refusal.
            advice = f"{self._base_url_advice} {AnswerLost.advice}"
            raise self._lost(f"{self.title} answered {describe_redirect(response)}", response, key=key, advice=advice)
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
        envelope, document = self._checked(response)
        return self._update_polled(prediction, envelope, response, document)

    def parse_shared_poll(
        self, response: HttpResponse, *, predictions: Sequence[Prediction]
    ) -> list[Prediction | KlingError]:
        """Parse the response to a poll of several predictions, in their order; an error is about one of them alone.

        Raises:
            Refused: the provider refused the poll.
            UnexpectedReply: the response cannot be read.
        """
        bodies = self.split_shared_poll(self._checked(response)[1])
        return [self._parse_shared(one, bodies.get(one.id), response) for one in predictions]

    def _parse_shared(self, prediction: Prediction, body: Json, response: HttpResponse) -> Prediction | KlingError:
        if body is None:
            return UnexpectedReply("The reply leaves this id out", provider=self.name, http_status=response.status)
        try:
            return self._update_polled(prediction, self.parse_envelope(body), response, body)
        except KlingError as error:
            return error

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

    def _update(self, prediction: Prediction, envelope: Envelope, response: HttpResponse, document: Json) -> Prediction:
        return self._updated(prediction, self.parse_record(envelope, response), document)

    def _updated(self, prediction: Prediction, record: Record, document: Json) -> Prediction:
        """Return a prediction as a record describes it."""
        spec = self.find_model(prediction.model)
        return update_prediction(
            prediction,
            record,
            statuses=self.statuses,
            # A resumed prediction may name a model that the table no longer has.
            kind=spec.kind if spec else self.unlisted_kind,
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


_TOO_LATE: Final = (400, 404, 409)
"""HTTP statuses of a cancellation that comes too late: the prediction is finished, or its record is gone."""
_EXTRA_OUTPUTS: Final = 8

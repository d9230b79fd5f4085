"""How the responses of a provider are read: its envelope, the error of a refusal, and what has not changed."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, Unpack

from ..types.base_error import ErrorContext
from ..types.errors import AnswerLost, UnexpectedReply
from ..types.http import HttpResponse
from ..types.prediction import Json, Prediction, Status
from .codec.envelope import Envelope
from .codec.errors import ErrorRules, describe_redirect, error_for
from .codec.fields import as_object
from .codec.status_peek import peek_status
from .codec.strict_json import excerpt, read_json
from .webhooks import Webhooks

__all__ = ["ResponseReader"]


class ResponseReader(Webhooks, ABC):
    """Reads the responses of one provider.

    Attributes:
        base_url_env: the environment variable that replaces its origin.
        statuses: its status words in lower case. A word that is missing here means "still running".
        error_rules: the meaning of its error codes and messages, beyond that of HTTP statuses.
    """

    base_url_env: ClassVar[str]
    statuses: ClassVar[Mapping[str, Status]]
    error_rules: ClassVar[ErrorRules] = ErrorRules()

    def is_unchanged(self, response: HttpResponse, *, prediction: Prediction, last_body: int) -> bool:
        """Return whether the response to a poll says what the last one said, as most do; decoding costs far more.

        Args:
            response: the response.
            prediction: a prediction that the last poll found running.
            last_body: the hash of the body of that poll's response; 0 for none.
        """
        if not response.is_success:
            return False
        if hash(response.body) == last_body:
            return True
        # Some bodies carry a clock, or a place in a queue. One without the id may be about anything else.
        word = peek_status(response.body) if b'"%b"' % prediction.id.encode() in response.body else None
        return word is not None and self._is_unchanged(prediction, Envelope(record={"status": word}))

    def _is_unchanged(self, prediction: Prediction, envelope: Envelope) -> bool:
        """Return whether a record repeats the known status, as most do: parsing it costs more than all the rest."""
        native_status = prediction.native_status
        return (
            envelope.record.get("status") == native_status
            and not prediction.status.is_terminal
            and prediction.status is self.statuses.get(native_status.strip().lower(), Status.RUNNING)
            and prediction.created_at is not None
        )

    def read_document(self, response: HttpResponse) -> Mapping[str, Json]:
        """Return the body of a response to a question. Raises Refused or UnexpectedReply if it is no answer."""
        return as_object(self._checked(response)[1])

    def _envelope(self, response: HttpResponse) -> tuple[Envelope, Json, UnexpectedReply | None]:
        try:
            document = read_json(response, provider=self.name)
        except UnexpectedReply as error:
            return Envelope(record={}), None, error
        return self.parse_envelope(document), document, None

    def _checked(self, response: HttpResponse) -> tuple[Envelope, Json]:
        """Return the envelope and the body of a response that refuses nothing. Raises Refused or UnexpectedReply."""
        envelope, document, decode_error = self._envelope(response)
        refused = envelope.refused and "status" not in envelope.record
        if refused or decode_error is not None or not response.is_success:
            raise self._error(response, envelope, decode_error, "The reply cannot be read")
        return envelope, document

    def _lost(self, message: str, response: HttpResponse, **facts: Unpack[ErrorContext]) -> AnswerLost:
        """Return the error of a submission whose response leaves open what it started."""
        facts |= {"provider": self.name, "http_status": response.status}
        return AnswerLost(message, excerpt=excerpt(response), **facts)

    @property
    def _base_url_advice(self) -> str:
        return f"Check the base URL (base_urls, or {self.base_url_env}): what redirects is hardly the API itself."

    def _error(
        self, response: HttpResponse, envelope: Envelope, decode_error: UnexpectedReply | None, fallback: str
    ) -> Exception:
        if not response.is_success or envelope.refused:
            message = envelope.message or (describe_redirect(response) if response.is_redirect else None)
            error = error_for(
                response,
                provider=self.name,
                rules=self.error_rules,
                code=envelope.code,
                message=message,
                part=envelope.part,
            )
            if response.is_redirect:
                error.advice = self._base_url_advice
            return error
        return decode_error or UnexpectedReply(
            fallback, provider=self.name, http_status=response.status, path="$.data.id", excerpt=excerpt(response)
        )

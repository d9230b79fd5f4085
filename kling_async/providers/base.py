"""What every provider has: a table of models, a way to ask, and replies that become one `Prediction`.

Theory of operation. A provider is pure: an input becomes an `HttpRequest`, an `HttpReply` becomes a `Prediction` or one
of our errors. Each adapter says where things stand in its own bodies (`open`), and what its words mean (`statuses`).
What follows from that is the same for all and stands here, above all this: a reply to a submission is "accepted" if it
holds an id, "refused" if it says so and holds none, and otherwise unreadable, which leaves the submission unconfirmed.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Final

from attrs import evolve

from ..errors import AnswerLost, InputError, InputFault, UnexpectedReply
from ..inputs import Input
from ..prediction import Json, OutputKind, Prediction, Status
from ..wire import HttpReply, HttpRequest
from .check import faults_in
from .decode import excerpt, read_json
from .record import Envelope, Record, advanced
from .refusal import ErrorRules, refusal
from .rules import suggestion
from .spec import Limits, ModelSpec

__all__ = ["Provider", "json_body"]


class Provider(ABC):
    """Everything that is known of one provider.

    Attributes:
        name: its name in code and settings.
        title: its name in sentences.
        origin: where its API lives.
        key_variable: the environment variable that holds its key.
        url_variable: the environment variable that moves its origin.
        schemes: how the key may be written into the Authorization header; the first is the default.
        failures_are_free: whether it says that failed predictions are not billed; None where it does not say.
        models: its models by name.
        limits: how fast it may be used unless the user says otherwise; documented nowhere, so careful.
        statuses: its status words in lower case. A word that is missing here means "still running".
        error_rules: what its error codes and messages mean, beyond what HTTP says.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    origin: ClassVar[str]
    key_variable: ClassVar[str]
    url_variable: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]] = ("bearer",)
    failures_are_free: ClassVar[bool | None] = None
    models: ClassVar[Mapping[str, ModelSpec]]
    statuses: ClassVar[Mapping[str, Status]]
    limits: ClassVar[Limits] = Limits()
    error_rules: ClassVar[ErrorRules] = ErrorRules()

    @abstractmethod
    def build_submit(self, input: Input) -> HttpRequest:
        """Build the request that submits an input which `check` has passed."""

    @abstractmethod
    def build_poll(self, id: str) -> HttpRequest:
        """Build the request that asks for a prediction. Only the id goes into the address, never one from a reply."""

    @abstractmethod
    def open(self, document: Json) -> Envelope:
        """Find the id, the refusal and the record in a body."""

    @abstractmethod
    def read(self, envelope: Envelope, reply: HttpReply) -> Record:
        """Read the record. Raises UnexpectedReply."""

    def spec(self, input: Input) -> ModelSpec:
        """Return the model that an input asks for. Raises InputError if this provider has none of that name."""
        spec = self.models.get(input.model)
        if spec is None:
            near = suggestion(input.model, self.models)
            allowed = f"{self.title} has {', '.join(self.models)}{near}"
            raise InputError.of("Unknown model", [InputFault("model", input.model, allowed)], provider=self.name)
        return spec

    def check(self, input: Input, *, key: str | None = None) -> None:
        """Hold an input against the model's table. Raises InputError with every fault found."""
        spec = self.spec(input)
        faults = list(faults_in(spec, input))
        if faults:
            raise InputError.of(f"{self.title} cannot take this input", faults, provider=self.name, key=key)

    def cost(self, input: Input) -> Decimal | None:
        """Return the published price of an input in US dollars; None where there is none, or only a range."""
        price = self.spec(input).price(input)
        return price.high if price is not None and price.low == price.high else None

    def parse_submit(self, reply: HttpReply, *, input: Input, key: str | None) -> Prediction:
        """Read the reply to a submission.

        Raises:
            Refused: the provider said no, or failed before it gave an id.
            UnexpectedReply: it said neither yes nor no in a way that can be read.
            AnswerLost: it said no, yet with an id, or sent elsewhere.
        """
        envelope, document, unreadable = self._envelope(reply)
        if envelope.id is not None and not _ok(reply):
            raise AnswerLost(
                f"{self.title} answered HTTP {reply.status}, yet with an id",
                provider=self.name,
                key=key,
                id=envelope.id,
                http_status=reply.status,
                excerpt=excerpt(reply),
            )
        if _leads_elsewhere(reply):
            # It may have been taken before (303 says so), or by what stands in front of the provider: that is no no.
            raise AnswerLost(
                f"{self.title} answered {_elsewhere(reply)}",
                provider=self.name,
                key=key,
                http_status=reply.status,
                excerpt=excerpt(reply),
                advice=f"{self._look_at_base_url} {AnswerLost.advice}",
            )
        if envelope.id is None:
            raise self._no(reply, envelope, unreadable, "The reply holds no usable id")
        fresh = Prediction(
            provider=self.name,
            model=input.model,
            id=envelope.id,
            key=key,
            status=Status.QUEUED,
            native_status="",
            cost=self.cost(input),
            raw=document,
        )
        try:
            return self._advanced(fresh, envelope, reply, document)
        except UnexpectedReply:
            # The id is what was paid for. What else cannot be read here is read again by the first poll.
            return fresh

    def parse_poll(self, reply: HttpReply, *, prediction: Prediction) -> Prediction:
        """Read the reply to a poll; the prediction keeps the id it was asked by.

        Raises:
            Refused: the provider said no.
            UnexpectedReply: the reply cannot be read.
        """
        envelope, document, unreadable = self._envelope(reply)
        if unreadable is not None or not _ok(reply) or (envelope.refused and "status" not in envelope.record):
            raise self._no(reply, envelope, unreadable, "The reply cannot be read")
        if self._nothing_new(prediction, envelope):
            return evolve(prediction, raw=document)
        return self._advanced(prediction, envelope, reply, document)

    def _nothing_new(self, prediction: Prediction, envelope: Envelope) -> bool:
        """Return whether a record tells what is known, as most do: reading it whole costs more than all the rest."""
        word = prediction.native_status
        return (
            envelope.record.get("status") == word
            and not prediction.status.finished
            and prediction.status is self.statuses.get(word.strip().lower(), Status.RUNNING)
            and prediction.created_at is not None
        )

    def _advanced(self, prediction: Prediction, envelope: Envelope, reply: HttpReply, document: Json) -> Prediction:
        spec = self.models.get(prediction.model)
        return advanced(
            prediction,
            self.read(envelope, reply),
            words=self.statuses,
            # A prediction taken up from an older table may name a model that this one no longer has.
            kind=spec.kind if spec else OutputKind.IMAGE,
            rules=self.error_rules,
            most=self._most_outputs(spec),
            free=bool(self.failures_are_free),
            raw=document,
        )

    def _most_outputs(self, spec: ModelSpec | None) -> int:
        """Return how many outputs of one reply are taken: the most that can be asked for, and a few to spare.

        By the model, since a prediction that is taken up by its id does not know how many it was asked for.
        """
        specs = self.models.values() if spec is None else [spec]
        return max((one.most_outputs for one in specs), default=1) + _SPARE_OUTPUTS

    @property
    def _look_at_base_url(self) -> str:
        return f"Check the base URL (base_urls, or {self.url_variable}): what redirects is hardly the API itself."

    def _envelope(self, reply: HttpReply) -> tuple[Envelope, Json, UnexpectedReply | None]:
        try:
            document = read_json(reply, provider=self.name)
        except UnexpectedReply as error:
            return Envelope(record={}), None, error
        return self.open(document), document, None

    def _no(
        self, reply: HttpReply, envelope: Envelope, unreadable: UnexpectedReply | None, otherwise: str
    ) -> Exception:
        if not _ok(reply) or envelope.refused:
            message = envelope.message or (_elsewhere(reply) if _leads_elsewhere(reply) else None)
            error = refusal(reply, provider=self.name, rules=self.error_rules, code=envelope.code, message=message)
            if _leads_elsewhere(reply):
                error.advice = self._look_at_base_url
            return error
        return unreadable or UnexpectedReply(
            otherwise, provider=self.name, http_status=reply.status, path="$.data.id", excerpt=excerpt(reply)
        )


_SPARE_OUTPUTS: Final = 8


def _ok(reply: HttpReply) -> bool:
    return 200 <= reply.status < 300


def _leads_elsewhere(reply: HttpReply) -> bool:
    """Return whether a reply is no last word: a redirect, or another protocol (RFC 9110, 15.2 and 15.4)."""
    return reply.status < 400 and not _ok(reply)


def _elsewhere(reply: HttpReply) -> str:
    where = reply.headers.get("location", "").partition("?")[0][:200]
    return f"HTTP {reply.status}" + (f", which leads to {where!r} and is not followed" if where else "")


def json_body(body: Mapping[str, Json]) -> bytes:
    """Write a body as compact JSON."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

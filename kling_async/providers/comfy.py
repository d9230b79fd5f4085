"""Comfy Router: Kling images and videos behind its queue, in Kling's own words.

    POST /v2/models/kling/{model}/requests                submit, HTTP 201
    GET  /v2/models/kling/{model}/requests/{id}/status    poll
    GET  /v2/models/kling/{model}/requests/{id}           the result
    PUT  /v2/models/kling/{model}/requests/{id}/cancel    cancel
    POST /v2/models/kling/{model}/estimate                the price of a body

What a second submission with the same Idempotency-Key does here, at the queue, for 24 hours after the first:

* the same body: HTTP 201 with the first handle, `request_id` and all, and `Idempotent-Replayed: true`. No second run.
* while the first one is still being admitted: 409 `concurrency_limit_exceeded` with Retry-After and without an id. The
  same key is to be sent again after that time, for the first handle.
* another method, path, query or body, or a record that cannot be replayed: 409 `invalid_input`. It says nothing about
  how the submission ended that has the key.
* what Router refuses before anything is queued (400, 401, 402, 403, 404, 413, 422) releases the key, and costs nothing.

The synchronous endpoint, `POST /v2/models/kling/{model}`, which is not used here, answers a repeat with a result in
place of a handle: the stored one (HTTP 200, `Idempotent-Replayed: true`) or the one collected; or with 409
`concurrency_limit_exceeded` until the first call is finished; or with 504 `deadline_exceeded` and Retry-After, where
Router keeps what the model's provider has accepted. There a broken call can lose the result, so that the model runs
twice while the key is charged once. The queue has no such 504: any HTTP 5xx of a submission leaves open what happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.errors import InputError, InputFault, UnexpectedReply
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input
from ..types.limits import Limits
from ..types.media_headers import MediaKind
from ..types.prediction import Failure, FailureKind, Json, OutputKind, Prediction, Status
from .base import Provider
from .codec.comfy_router import (
    ROUTER_STATUSES,
    is_completed,
    parse_router_envelope,
    parse_router_failure,
    parse_router_record,
    parse_router_result,
    router_error_type,
)
from .codec.envelope import Envelope, Record
from .codec.errors import ErrorRules
from .codec.fields import as_list, as_object, parse_code
from .codec.strict_json import json_body
from .comfy_bodies import build_comfy_body
from .comfy_facts import CAPABILITIES, ESTIMATES
from .comfy_models import MODELS
from .listing import Difference, KnownModel, ListedModel, compare
from .queries import live_price
from .spec import ModelSpec, Price
from .validation import infer_scene

__all__ = ["Comfy"]


class Comfy(Provider):
    """Comfy Router, as documented in November 2026."""

    name: ClassVar[str] = "comfy"
    title: ClassVar[str] = "Comfy Router"
    origin: ClassVar[str] = "https://api.comfy.org"
    api_key_env: ClassVar[str] = "COMFY_API_KEY"
    base_url_env: ClassVar[str] = "COMFY_ROUTER_BASE_URL"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        OutputKind.IMAGE: "kling/kling-image-o1",
        OutputKind.VIDEO: "kling-o1-std",
    }
    limits: ClassVar[Limits] = Limits()
    # Pages of image models say so; videos have Kling's own bodies, in which images may be base64 and videos may not.
    inline_kinds: ClassVar[frozenset[MediaKind]] = frozenset({"image"})
    statuses: ClassVar[Mapping[str, Status]] = ROUTER_STATUSES
    # Error types are words, and HTTP statuses decide; content_policy_violation is among the words known by default.
    error_rules: ClassVar[ErrorRules] = ErrorRules()
    unlisted_kind: ClassVar[OutputKind] = OutputKind.VIDEO

    def build_submit(self, input: Input) -> HttpRequest:
        return self._post(input, "requests")

    def build_quote(self, input: Input) -> HttpRequest:
        return self._post(input, "estimate")

    def parse_quote(self, response: HttpResponse) -> Price | None:
        """Parse an estimate. Its `source` is "exact", or a word for less, such as "unknown", which is taken for none.

        While the feature is rolling out the answer is 403 `not_enabled`, which is raised as PermissionDenied.
        """
        record = self._checked(response)[0].record
        amounts = (record.get("amount"),) if record.get("source") == "exact" else ()
        return live_price(amounts, record.get("currency"), ESTIMATES)

    def build_listing(self, answered: Sequence[HttpResponse]) -> HttpRequest | None:
        """Build the request for the next page of Router's catalogue, which has ids alone: /discover-models of its docs.

        A model's own openapi.json need not have a schema: `x-comfy-input-schema-authored` may be false.
        """
        page = self.read_document(answered[-1]) if answered else {"has_more": True}
        if page.get("has_more") is not True:
            return None
        cursor = page.get("next_cursor")
        query = f"&cursor={quote(cursor, safe='')}" if isinstance(cursor, str) and cursor else ""
        # Without a cursor the second page would be the first one again.
        return HttpRequest(method="GET", path=f"/v2/models?limit=100{query}") if query or not answered else None

    def compare_listing(self, responses: Sequence[HttpResponse]) -> tuple[Difference, ...]:
        entries = [entry for one in responses for entry in as_list(self.read_document(one).get("data"))]
        ids = [as_object(entry).get("id") for entry in entries]
        listed = [ListedModel(id=id) for id in ids if isinstance(id, str) and id.startswith("kling/")]
        known = {f"kling/{spec.wire_name}": KnownModel() for spec in self.models.values()}
        return compare(known, listed, responses, provider=self.name)

    def _post(self, input: Input, action: str) -> HttpRequest:
        spec = self.spec(input)
        body = build_comfy_body(spec, input, infer_scene(spec, input) or spec.scenes[0])
        return HttpRequest(method="POST", path=f"/v2/models/kling/{spec.wire_name}/{action}", body=json_body(body))

    def add_client_id(self, request: HttpRequest, client_id: str) -> HttpRequest:
        return evolve(request, headers=(*request.headers, ("Idempotency-Key", client_id)))

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path=self._path(prediction, "/status"))

    def build_result(self, prediction: Prediction, response: HttpResponse) -> HttpRequest | None:
        envelope, _, error = self._envelope(response)
        if error is not None or not response.is_success or not is_completed(envelope):
            return None
        return HttpRequest(method="GET", path=self._path(prediction))

    def build_cancel(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="PUT", path=self._path(prediction, "/cancel"))

    def parse_submit(self, response: HttpResponse, *, input: Input, key: str | None) -> Prediction:
        envelope, _, _ = self._envelope(response)
        if response.status == 409 and envelope.id is None:
            # The key is held by a submission that may be running, and that may be charged: this is no refusal of it.
            message = f"{self.title} holds an earlier submission with this key: {envelope.message or 'HTTP 409'}"
            raise self._lost(message, response, key=key, code=envelope.code)
        return super().parse_submit(response, input=input, key=key)

    def parse_poll(self, response: HttpResponse, *, prediction: Prediction) -> Prediction:
        if response.status != 410:
            return super().parse_poll(response, prediction=prediction)
        envelope, document, _ = self._envelope(response)
        message = envelope.message or "the request has ended, and its result is kept no longer"
        failure = Failure(kind=FailureKind.EXPIRED, code=envelope.code, message=message)
        return evolve(prediction, status=Status.EXPIRED, outputs=(), failure=failure, raw=document)

    def parse_result(self, response: HttpResponse, *, prediction: Prediction, polled: HttpResponse) -> Prediction:
        """Parse the response to the request for a result: the result, or why there is none.

        An answer that is neither, such as an outage, fails the poll, unless the status has named an error.
        """
        status, raw, _ = self._envelope(polled)
        result, document, _ = self._envelope(response)
        error_type = parse_code(status.record.get("error_type"))
        if response.status == 200 and "status" not in result.record:
            return self._updated(prediction, parse_router_result(response, provider=self.name), document)
        if error_type is not None:
            message = result.message if not response.is_success and result.code == error_type else None
            return self._updated(prediction, parse_router_failure(error_type, message), raw)
        return self.parse_poll(response, prediction=prediction)

    def parse_envelope(self, document: Json) -> Envelope:
        return parse_router_envelope(document)

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        return parse_router_record(envelope, response, provider=self.name)

    def _path(self, prediction: Prediction, action: str = "") -> str:
        """Return the path of a prediction's request; a model that is missing from the table is an id of Router's."""
        spec, model = self.find_model(prediction.model), prediction.model
        if spec is None and not model.startswith("kling/"):
            allowed = "must be a model, or an id of Comfy Router such as kling/kling-4.0, to find its requests"
            raise InputError.of("Unknown model", [InputFault("model", model, allowed)], provider=self.name)
        name = spec.wire_name if spec else quote(model.removeprefix("kling/"), safe="")
        return f"/v2/models/kling/{name}/requests/{prediction.id}{action}"

    def _envelope(self, response: HttpResponse) -> tuple[Envelope, Json, UnexpectedReply | None]:
        envelope, document, error = super()._envelope(response)
        return evolve(envelope, code=envelope.code or router_error_type(response)), document, error

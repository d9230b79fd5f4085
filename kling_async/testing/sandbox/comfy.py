"""Comfy Router's wire format: its queue, the price of a body in advance, and the schema of a model.

    POST /v2/models/kling/{model}/requests, GET .../requests/{id}/status, GET .../requests/{id}, PUT .../{id}/cancel
    POST /v2/models/kling/{model}/estimate
    GET  /v2/models/kling/{model}/openapi.json
    GET  /v2/models

Documented are the paths, the bodies, the errors with their types, and what an Idempotency-Key does, at
https://docs.comfy.org/development/comfy-router (queue, headers, errors) and in the contract that is in
https://github.com/Comfy-Org/comfy-typescript-sdk, spec/router-openapi.yaml. The result is a record of Kling. Inferred:
the messages, the status of a submission that the content policy refuses, and the types of the numbers in an estimate.
Not emulated: the synchronous endpoint, and models of other makers but for one in the list. Any other path is HTTP 404.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from urllib.parse import parse_qsl

from attrs import evolve

from ...types.prediction import Json
from .comfy_parameters import MODELS, has_price, parse_comfy_task, prompt_in
from .http import Request, Response, json_response, parse_json
from .parameters import Invalid
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["Comfy"]

_MODEL = re.compile(r"/v2/models/kling/([^/]+)/(requests|estimate|openapi\.json)")
_REQUEST = re.compile(r"/v2/models/kling/([^/]+)/requests/([^/]+?)(/status|/cancel)?")
_MODELS_PATH = "/v2/models"
_DEFAULT_LIMIT, _MAX_LIMIT = 20, 100
_CALL = "6f1a1a6e-6a53-4a5f-9d3a-2b3b0a1f9c21"
_CREDITS_PER_DOLLAR = 211
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "unauthorized": (401, "unauthorized", "The request carried no usable credential."),
    "forbidden": (403, "forbidden", "The credential is not entitled to this model."),
    "no_balance": (402, "insufficient_credits", "The workspace does not have enough credits to run the model."),
    "refused": (400, "content_policy_violation", "The provider refused the request on content-policy grounds."),
    "bad_request": (422, "invalid_input", "Invalid input"),
    "rate_limited": (429, "rate_limited", "Too many requests in this window."),
    "error_500": (500, "internal_error", "Internal error"),
    "error_503": (503, "service_unavailable", "A service that Router depends on is temporarily unavailable."),
    "not_found": (404, "request_not_found", "No such request."),
    "gone": (410, "request_not_found", "The request has aged out of its retention window."),
    "admitting": (409, "concurrency_limit_exceeded", "Another call is in flight for this Idempotency-Key."),
    "conflict": (409, "invalid_input", "This Idempotency-Key was already used for a different request."),
}
_ENDS = {
    "content_policy_violation": 400,
    "provider_error": 502,
    "provider_timeout": 504,
    "queue_timeout": 504,
    "cancelled": 409,
}
"""HTTP statuses of the result of a request that has ended without one, by its error type."""


def _error(status: int, error_type: str, detail: Json) -> Response:
    body: dict[str, Json] = {"detail": detail}
    if isinstance(detail, str):
        body["error_type"] = error_type
    return json_response(body, status=status, headers={"x-comfy-error-type": error_type, "x-comfy-request-id": _CALL})


class Comfy:
    """Comfy Router, by its documents."""

    name = "comfy"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; a Bearer token is one of two documented ways."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's, or of a model that it does not know."""
        match = _REQUEST.fullmatch(request.path)
        if match and match[1] in MODELS:
            cancels = match[3] == "/cancel"
            return Route(kind="cancel" if cancels else "poll", method="PUT" if cancels else "GET", id=match[2])
        if request.path == _MODELS_PATH:
            return Route(kind="page", method="GET", scene="models")
        match = _MODEL.fullmatch(request.path)
        if match is None or match[1] not in MODELS:
            return None
        if match[2] == "requests":
            return Route(kind="submit", method="POST", model=match[1])
        return Route(kind="page", method="POST" if match[2] == "estimate" else "GET", model=match[1], scene=match[2])

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return prompt_in(body)

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        return parse_comfy_task(route.model, body, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, ``not_found``, or one about a key."""
        status, error_type, usual = _REFUSALS[reason]
        if status == 422:
            return _error(status, error_type, [{"loc": ["body"], "msg": message or usual, "type": "value_error"}])
        return _error(status, error_type, message or usual)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        handle = _status(task, request, "IN_QUEUE", {"queue_position": 0})
        return json_response(handle, status=201, headers={"x-comfy-request-id": task.id})

    def replay(self, task: Task, request: Request, sandbox: Sandbox, *, is_same: bool) -> Response:
        """Return the response to a submission whose key an earlier one has: its handle, or why there is none."""
        if not is_same:
            return self.refuse("conflict")
        left = task.at + sandbox.admission_seconds - request.now
        if left > 0:
            refusal = self.refuse("admitting")
            return evolve(refusal, headers={**refusal.headers, "retry-after": str(max(1, round(left)))})
        first = self.accept(task, request, sandbox)
        return evolve(first, headers={**first.headers, "idempotent-replayed": "true"})

    def page(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        """Return the price of a body, which charges nothing, the schema of a model, or a page of the list of models."""
        if route.scene == "models":
            return self._list(request)
        return self._estimate(route, request, sandbox) if route.scene == "estimate" else _schema(route, request)

    def _list(self, request: Request) -> Response:
        query = dict(parse_qsl(request.query))
        text = query.get("limit", "")
        limit = min(int(text), _MAX_LIMIT) if text.isdecimal() and int(text) else _DEFAULT_LIMIT
        ids = ["bfl/flux-2-pro", *(f"kling/{name}" for name in MODELS)]
        cursors = {sha256(id.encode()).hexdigest()[:16]: index for index, id in enumerate(ids)}
        start = cursors.get(query["cursor"]) if "cursor" in query else 0
        if start is None:
            return _error(400, "invalid_input", "The cursor is not one of this list")
        entries: list[Json] = [
            {"id": id, "provider": id.partition("/")[0], "model": id.partition("/")[2]} for id in ids[start:][:limit]
        ]
        more = start + limit < len(ids)
        following = next(cursor for cursor, index in cursors.items() if index == start + limit) if more else None
        return json_response({"data": entries, "has_more": more, "next_cursor": following, "limit": limit})

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id, and without the addresses that hold it."""
        if not isinstance(answer, Mapping):
            raise TypeError("an acceptance is an object")
        return {name: value for name, value in answer.items() if not name.endswith(("_id", "_url"))}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll of the status, or to the request for the result; both paths have the model."""
        match, task = _REQUEST.fullmatch(request.path), view.task
        if match is None or match[1] != task.spec.model:
            return self.refuse("not_found")
        if task.is_removed(view.now):
            return self.refuse("gone")
        phase = task.phase(view.now)
        return _report(task, request, phase) if match[3] or _runs(phase) else _result(view, phase)

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Return the response to a cancellation."""
        word = "ALREADY_COMPLETED" if late else "CANCELLATION_REQUESTED"
        return json_response({"request_id": view.task.id, "status": word}, status=409 if late else 202)

    def _estimate(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        try:
            body = parse_json(request.body)
            spec = self.read(route, body if isinstance(body, Mapping) else {}, sandbox)
        except (Invalid, ValueError, RecursionError) as error:
            return self.refuse("bad_request", str(error))
        as_of: dict[str, Json] = {"currency": "USD", "pricing_as_of": request.utc.isoformat()}
        if not has_price(route.model):
            return json_response({"source": "unknown", "reason": "no rate is published", **as_of})
        return json_response({"source": "exact", "amount": float(spec.price), **as_of})


def _runs(phase: Phase) -> bool:
    return phase in {Phase.QUEUED, Phase.RUNNING}


def _error_type(task: Task, phase: Phase) -> str | None:
    if phase is Phase.CANCELLED:
        return "cancelled"
    named = task.faults.get("failed")
    return None if phase is not Phase.FAILED else named if named in _ENDS else "provider_error"


def _status(task: Task, request: Request, word: str, more: Mapping[str, Json]) -> Json:
    url = f"{request.origin}/v2/models/kling/{task.spec.model}/requests/{task.id}"
    urls: dict[str, Json] = {"status_url": f"{url}/status", "response_url": url, "cancel_url": f"{url}/cancel"}
    return {"request_id": task.id, "status": word, **more, **urls}


def _report(task: Task, request: Request, phase: Phase) -> Response:
    is_result = not request.path.endswith("/status")
    headers = {"x-comfy-request-id": _CALL}
    if _runs(phase):
        word = "IN_QUEUE" if phase is Phase.QUEUED else "IN_PROGRESS"
        if "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "WARMING_UP"
        body = _status(task, request, word, {"queue_position": 0})
        return json_response(body, status=202 if is_result else 200, headers={**headers, "retry-after": "1"})
    error_type = _error_type(task, phase)
    more: Mapping[str, Json] = {} if error_type is None else {"error_type": error_type}
    return json_response(_status(task, request, "COMPLETED", more), headers=headers)


def _result(view: TaskView, phase: Phase) -> Response:
    task, error_type = view.task, _error_type(view.task, phase)
    if error_type is not None:
        named = task.faults.get("failed")
        detail = f"The request ended with {error_type}." if named in (None, error_type) else named
        return _error(_ENDS[error_type], error_type, detail)
    credits = (task.spec.price * _CREDITS_PER_DOLLAR).quantize(Decimal("0.01"))
    headers = {"x-comfy-request-id": _CALL, "x-comfy-credits-used": str(credits)}
    data = (
        _new_record(view) if MODELS[task.spec.model].body in ("contents", "text", "contents image") else _record(view)
    )
    return json_response({"code": 0, "message": "SUCCEED", "request_id": _CALL, "data": data}, headers=headers)


def _record(view: TaskView) -> Json:
    task, created = view.task, int(view.task.utc.timestamp() * 1000)
    seconds = str(task.spec.seconds)
    if task.spec.kind == "image":
        result: Json = {"images": [{"index": n, "url": url} for n, url in enumerate(view.outputs)]}
    else:
        result = {"videos": [{"id": f"v{n}", "url": url, "duration": seconds} for n, url in enumerate(view.outputs)]}
    times: dict[str, Json] = {"created_at": created, "updated_at": int(task.done_utc.timestamp() * 1000)}
    return {
        "task_id": f"kling-{task.id}",
        "task_status": "succeed",
        "task_status_msg": "",
        "task_result": result,
        **times,
    }


def _new_record(view: TaskView) -> Json:
    task, created = view.task, int(view.task.utc.timestamp() * 1000)
    outputs: list[Json] = [
        {"id": f"o{n}", "type": task.spec.kind, "url": url, "duration": str(task.spec.seconds)}
        for n, url in enumerate(view.outputs)
    ]
    times: dict[str, Json] = {"create_time": created, "update_time": int(task.done_utc.timestamp() * 1000)}
    return [{"id": f"kling-{task.id}", "status": "succeeded", "message": "", "outputs": outputs, **times}]


def _schema(route: Route, request: Request) -> Response:
    """Return a schema without fields, as Router has for models whose own is not written, or that it is unchanged."""
    id = f"kling/{route.model}"
    any_object: Json = {"content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}}
    operation: Json = {"operationId": "runRouterModel", "requestBody": any_object, "responses": {"200": any_object}}
    document: Json = {
        "openapi": "3.0.2",
        "info": {"title": id, "version": "1"},
        "paths": {f"/v2/models/{id}": {"post": operation}},
        "x-comfy-router-model-id": id,
        "x-comfy-input-schema-authored": False,
    }
    response = json_response(document)
    headers = {
        "etag": f'"{sha256(response.body).hexdigest()}"',
        "cache-control": "private, max-age=300, must-revalidate",
    }
    if request.headers.get("if-none-match") in (headers["etag"], "*"):
        return Response(status=304, headers=headers)
    return evolve(response, headers={**response.headers, **headers, "x-comfy-request-id": _CALL})

"""fal's wire format: POST /{endpoint}, then GET /{owner}/{app}/requests/{id}/status, and the result without "/status".

A page of each endpoint, GET /models/{endpoint}/llms.txt, is public.

Documented are the bodies, HTTP 202 for a request that waits or runs, the errors in `detail`, and the cancellation.
That the status of a failed request is COMPLETED, and only its result has the error, is seen in clients. Inferred are
the word CANCELED, which a third-party schema has, and the bodies of 401 and 404.
One simplification: fal accepts any body, and rejects a wrong one with the result. Here the submission is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...types.prediction import Json
from .fal_catalog import ENDPOINTS
from .fal_page import describe
from .fal_submission import Submission
from .http import Request, Response, html_response, json_response, text_response
from .parameters import text_of
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["Fal"]

_REQUEST = re.compile(r"/([^/]+/[^/]+)/requests/([^/]+?)(/status|/cancel)?")
_PAGE = re.compile(r"/models/(.+)/llms\.txt")
_CONTENT = "The content was flagged by a content checker."
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "unauthorized": (401, "Authentication is required to access this application.", ""),
    "forbidden": (403, "User is locked. Reason: Admin lock. Please contact support@fal.ai.", ""),
    "no_balance": (
        403,
        "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
        "",
    ),
    "refused": (422, _CONTENT, "content_policy_violation"),
    "bad_request": (422, "Invalid input", "value_error"),
    "rate_limited": (429, "Too many requests", ""),
    "error_500": (500, "Internal server error", "internal_error"),
    "error_503": (503, "No runner could be allocated to handle the request", "runner_scheduling_failure"),
    "not_found": (404, "Request not found", ""),
}
_INFRASTRUCTURE = {"request_timeout": 504, "startup_timeout": 504, "runner_disconnected": 503}
"""Errors that stand beside the status, with the HTTP status of the result."""


class Fal:
    """fal, by its documents."""

    name = "fal"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; only the scheme Key is valid."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "key" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        if match := _REQUEST.fullmatch(request.path):
            if match[3] == "/cancel":
                return Route(kind="cancel", method="PUT", id=match[2])
            return Route(kind="poll", method="GET", id=match[2])
        if match := _PAGE.fullmatch(request.path):
            return Route(kind="page", method="GET", model=match[1], is_public=True)
        endpoint = request.path.strip("/")
        return Route(kind="submit", method="POST", model=endpoint) if endpoint in ENDPOINTS else None

    def page(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        """Return the public page of an endpoint."""
        known = ENDPOINTS.get(route.model)
        return html_response(404, "Not Found") if known is None else text_response(describe(route.model, known))

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return text_of(body.get("prompt"))

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        return Submission(route.model, body).read(strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        status, usual, kind = _REFUSALS[reason]
        if status == 422:
            return _model_error(message or usual, kind)
        body: dict[str, Json] = {"detail": message or usual}
        if kind:
            body["error_type"] = kind
        return json_response(body, status=status, headers={"x-fal-error-type": kind} if kind else {})

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return json_response(_status(task, request, "IN_QUEUE", {"queue_position": 0}))

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id, and without the addresses that hold it."""
        if not isinstance(answer, Mapping):
            raise TypeError("an acceptance is an object")
        return {name: value for name, value in answer.items() if not name.endswith(("_id", "_url"))}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll of the status, or to the request for the result."""
        task = view.task
        if not request.path.startswith(f"/{_app(task)}/requests/"):
            return self.refuse("not_found")
        if request.path.endswith("/status"):
            return _report_status(task, request, task.phase(view.now))
        return _report_result(view, task.phase(view.now))

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Return the response to a cancellation."""
        if late:
            return json_response({"status": "ALREADY_COMPLETED"}, status=400)
        return json_response({"status": "CANCELLATION_REQUESTED"}, status=202)


def _app(task: Task) -> str:
    """Return owner and app of a task's endpoint, which is all of it that the paths of its request have."""
    return "/".join(task.spec.model.split("/")[:2])


def _status(task: Task, request: Request, word: str, more: Mapping[str, Json]) -> Json:
    url = f"{request.origin}/{_app(task)}/requests/{task.id}"
    return {
        "status": word,
        "request_id": task.id,
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
        "logs": None,
        **more,
    }


def _report_status(task: Task, request: Request, phase: Phase) -> Response:
    if phase in {Phase.QUEUED, Phase.RUNNING}:
        word = "IN_QUEUE" if phase is Phase.QUEUED else "IN_PROGRESS"
        if "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "WARMING_UP"
        more: Mapping[str, Json] = {"queue_position": 0} if phase is Phase.QUEUED else {}
        return json_response(_status(task, request, word, more), status=202)
    if phase is Phase.CANCELLED:
        return json_response(_status(task, request, "CANCELED", {}))
    metrics: dict[str, Json] = {"metrics": {"inference_time": task.done_at - task.started_at}}
    failed = task.faults.get("failed") if phase is Phase.FAILED else None
    if failed in _INFRASTRUCTURE:
        metrics |= {"error": "The request failed", "error_type": failed}
    return json_response(_status(task, request, "COMPLETED", metrics))


def _report_result(view: TaskView, phase: Phase) -> Response:
    task, headers = view.task, {"x-fal-request-id": view.task.id}
    if phase is Phase.FAILED:
        reason = task.faults.get("failed") or "The model could not generate the requested media"
        if reason in _INFRASTRUCTURE:
            body: Json = {"detail": "The request failed", "error_type": reason}
            return json_response(body, status=_INFRASTRUCTURE[reason], headers={"x-fal-error-type": reason})
        if reason == "content_policy_violation":
            return _model_error(_CONTENT, reason)
        return _model_error(reason, "no_media_generated")
    if phase is Phase.CANCELLED:
        return json_response({"detail": "Request was cancelled"}, status=400)
    if phase is not Phase.COMPLETED:
        return json_response({"detail": "Request is still in progress"}, status=400)
    if task.spec.kind == "video":
        url = next(iter(view.outputs), None)
        video: Json = None if url is None else {"url": url, "content_type": "video/mp4", "file_name": "output.mp4"}
        return json_response({"video": video}, headers=headers)
    images: list[Json] = [
        {
            "url": f"data:image/png;base64,{output}" if task.spec.base64 else output,
            "content_type": "image/png",
            "width": task.spec.width,
            "height": task.spec.height,
        }
        for output in view.outputs
    ]
    return json_response({"images": images}, headers=headers)


def _model_error(message: str, kind: str) -> Response:
    place = "prompt" if kind == "content_policy_violation" else ""
    error: Json = {
        "loc": ["body", place] if place else ["body"],
        "msg": message,
        "type": kind,
        "url": f"https://docs.fal.ai/errors#{kind}",
    }
    return json_response({"detail": [error]}, status=422, headers={"x-fal-retryable": "false"})

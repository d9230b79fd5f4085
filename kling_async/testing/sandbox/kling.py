"""Kling's own wire formats, of both of its standards, from the pages of https://kling.ai/document-api.

Reported by callers and not documented: the response to an unknown id (1201 on the legacy standard, an empty list on the
new one), that a second task with the same external_task_id is refused with 1201, that one poll may ask for 20 ids, and
that a signed token is refused with 1002 on the new standard. Inferred: the message of a prediction that was cancelled,
which is no status here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from ...types.prediction import Json
from .files import url_of
from .http import Request, Response, json_response, parse_json
from .kling_parameters import VIDEO_ENDPOINTS, parse_legacy_task, parse_task
from .parameters import text_of
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["KlingLegacy", "KlingTasks"]

_PRODUCTS = "images/omni-image|images/generations|videos/text2video|videos/image2video"
_LEGACY = re.compile(rf"/v1/({_PRODUCTS})(?:/([^/]+))?")
_TASK = re.compile(r"/(text-to-video|image-to-video|omni-video|motion-control)/([^/]+)")
_MAX_IDS = 20
_REFUSALS: Mapping[str, tuple[int, int, str]] = {
    "unauthorized": (401, 1002, "Authentication error. The current API does not support AK/SK"),
    "no_balance": (429, 1102, "Account balance not enough"),
    "forbidden": (403, 1103, "Unauthorized access to requested resource"),
    "refused": (400, 1301, "Trigger the platform's content security policy"),
    "bad_request": (400, 1201, "Invalid parameters"),
    "rate_limited": (429, 1302, "Too many requests"),
    "no_slot": (429, 1303, "parallel task over resource pack limit"),
    "error_500": (500, 5000, "Server internal error"),
    "error_503": (503, 5001, "Server temporarily unavailable"),
    "not_found": (400, 1201, "Task not found by id/external id"),
}
_FAILED = "The generation failed. Please try again."
_REQUEST_ID = "9984d27b-a408-4073-ae28-17ca6a13622d"


def _ok(data: Json) -> Response:
    return json_response({"code": 0, "message": "SUCCEED", "request_id": _REQUEST_ID, "data": data})


def _refusal(reason: str, message: str) -> Response:
    status, code, usual = _REFUSALS[reason]
    return json_response({"code": code, "message": message or usual, "request_id": _REQUEST_ID}, status=status)


def _without_id(answer: Json, name: str) -> Json:
    data = answer["data"] if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(data, Mapping):
        raise TypeError("an acceptance holds an object named data")
    return {**answer, "data": {key: value for key, value in data.items() if key != name}}


def _bearer(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


def _word_of(task: Task, now: float, *, succeeded: str) -> tuple[str, str]:
    """Return the status of a task, and the reason of its failure."""
    phase = task.phase(now)
    if phase in {Phase.QUEUED, Phase.RUNNING}:
        word = "submitted" if phase is Phase.QUEUED else "processing"
        return (task.faults["unknown_status"] or "warming_up") if "unknown_status" in task.faults else word, ""
    if phase is Phase.COMPLETED:
        return succeeded, ""
    return "failed", (task.faults.get("failed") or _FAILED) if phase is Phase.FAILED else "The task was cancelled"


def _times_of(task: Task, now: float) -> tuple[int, int]:
    """Return the times of creation and of the last change in milliseconds since 1970."""
    created = int(task.utc.timestamp() * 1000)
    changed = next((at for at in (task.done_at, task.started_at) if at <= now), task.at)
    return created, created + int((changed - task.at) * 1000)


class KlingLegacy:
    """The legacy standard: images, and older videos. It takes the API key, or a token signed by a pair of keys."""

    name = "kling"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header, or the access key of a token; in the sandbox the secret key is the same."""
        key = _bearer(authorization)
        return _access_key(key) if key.count(".") == 2 else key

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not of this standard."""
        match = _LEGACY.fullmatch(request.path)
        if match is None:
            return None
        if match[2] is None:
            return Route(kind="submit", method="POST", scene=match[1])
        return Route(kind="poll", method="GET", scene=match[1], id=match[2], by_client_id=True)

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return text_of(body.get("prompt"))

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        return parse_legacy_task(route.scene, body, sandbox)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        return _refusal(reason, message)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return _ok(_legacy_record(task, task.at, "submitted"))

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id."""
        return _without_id(answer, "task_id")

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll; a task is known at the path of its own product only."""
        task = view.task
        match = _LEGACY.fullmatch(request.path)
        if match is None or task.spec.scene != match[1]:
            return self.refuse("not_found")
        word, reason = _word_of(task, view.now, succeeded="succeed")
        record: dict[str, Json] = {**_legacy_record(task, view.now, word), "task_status_msg": reason}
        if word == "succeed":
            record |= {"task_result": _legacy_result(task, view.outputs), "final_unit_deduction": str(task.spec.price)}
        return _ok(record)

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Never called: no page of this provider shows a cancellation, so no path means one."""
        raise NotImplementedError


class KlingTasks:
    """The new standard: videos. It takes the API key alone."""

    name = "kling"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header."""
        return _bearer(authorization)

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not of this standard."""
        if request.path == "/tasks":
            ids = _ids_of(request)
            by_client_id = "external_task_ids" in parse_qs(request.query)
            return Route(kind="poll", method="GET", id=ids[0], more_ids=tuple(ids[1:]), by_client_id=by_client_id)
        match = _TASK.fullmatch(request.path)
        if match and match[2] in VIDEO_ENDPOINTS[match[1]]:
            return Route(kind="submit", method="POST", model=match[2], scene=match[1])
        return None

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        contents = body.get("contents")
        for one in contents if isinstance(contents, list) else ():
            if isinstance(one, Mapping) and one.get("type") == "prompt":
                return text_of(one.get("text"))
        return text_of(body.get("prompt"))

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        return parse_task(route.scene, route.model, body, sandbox)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`; an unknown id is left out of the list."""
        return _ok([]) if reason == "not_found" else _refusal(reason, message)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return _ok(_record(task, task.at, "submitted"))

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id."""
        return _without_id(answer, "id")

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll: a list of the tasks that are known among those that it asks for."""
        ids = _ids_of(request)
        if len(ids) > _MAX_IDS or {"task_ids", "external_task_ids"} <= parse_qs(request.query).keys():
            return self.refuse("bad_request", f"task_ids or external_task_ids must have 1 to {_MAX_IDS} ids")
        by_client_id = "external_task_ids" in parse_qs(request.query)
        found = (sandbox.find(self.name, id, by_client_id=by_client_id) for id in dict.fromkeys(ids))
        return _ok([_reported(task, view, request, sandbox) for task in found if task is not None])

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Never called: no page of this provider shows a cancellation, so no path means one."""
        raise NotImplementedError


def _ids_of(request: Request) -> list[str]:
    """Return the ids of a query, at least one, which may be empty."""
    query = parse_qs(request.query)
    [text] = (query.get("task_ids") or query.get("external_task_ids") or [""])[:1]
    return text.split(",")


def _access_key(token: str) -> str:
    """Return the access key of a token if it is signed with the same text as the secret key; empty if it is not."""
    signed, _, signature = token.rpartition(".")
    try:
        head, claims = (parse_json(urlsafe_b64decode(part + "==")) for part in signed.split("."))
        given = urlsafe_b64decode(signature + "==")
    except (ValueError, RecursionError):
        return ""
    if not isinstance(claims, Mapping) or head != {"alg": "HS256", "typ": "JWT"}:
        return ""
    key = claims.get("iss")
    if not isinstance(key, str) or not all(isinstance(claims.get(name), int) for name in ("exp", "nbf")):
        return ""
    is_signed = hmac.compare_digest(given, hmac.digest(key.encode(), signed.encode(), hashlib.sha256))
    return key if is_signed else ""


def _legacy_record(task: Task, now: float, word: str) -> dict[str, Json]:
    created, updated = _times_of(task, now)
    info: dict[str, Json] = {"external_task_id": task.spec.client_id} if task.spec.client_id else {}
    return {
        "task_id": task.id,
        "task_status": word,
        "task_info": info,
        "created_at": created,
        "updated_at": updated,
    }


def _legacy_result(task: Task, urls: Sequence[str]) -> Json:
    if task.spec.kind == "video":
        seconds = str(task.spec.seconds)
        return {
            "videos": [{"id": f"{task.id}-{number}", "url": url, "duration": seconds} for number, url in _each(urls)]
        }
    return {"images": [{"index": number, "url": url} for number, url in _each(urls)]}


def _each(urls: Sequence[str]) -> list[tuple[int, str]]:
    return list(enumerate(urls))


def _record(task: Task, now: float, word: str) -> dict[str, Json]:
    created, updated = _times_of(task, now)
    return {
        "id": task.id,
        "status": word,
        "create_time": created,
        "update_time": updated,
        "external_id": task.spec.client_id,
    }


def _reported(task: Task, view: TaskView, request: Request, sandbox: Sandbox) -> Json:
    word, reason = _word_of(task, view.now, succeeded="succeeded")
    record: dict[str, Json] = {**_record(task, view.now, word), "message": reason, "outputs": [], "billing": []}
    if word == "succeeded":
        ttl = sandbox.output_ttl
        urls = [url_of(name, task, origin=request.origin, now=view.now, output_ttl=ttl) for name in task.files]
        video: dict[str, Json] = {"type": task.spec.kind, "watermark_url": "", "duration": str(task.spec.seconds)}
        record["outputs"] = [{**video, "id": f"{task.id}-{number}", "url": url} for number, url in _each(urls)]
        price = str(task.spec.price)
        charge: dict[str, Json] = {"charge_type": "cash", "cash_type": "balance", "amount": price, "currency": "USD"}
        record["billing"] = [{**charge, "list_price": price}]
    return record

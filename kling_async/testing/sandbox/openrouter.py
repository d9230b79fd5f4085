"""OpenRouter's wire format: POST /api/v1/videos, GET /api/v1/videos/{id} and GET /api/v1/videos/{id}/content.

GET /api/v1/videos/models lists the ids of the models; the documented list has more about each.
The paths, the records, the six statuses and the form of errors are documented; models, ranges and prices are those of
its public list of models. Messages are those that clients recorded. Inferred: the HTTP status of content that is not
ready, the time in ids, which is always the beginning of 2026, and that a failed job is billed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import frozen

from ...types.prediction import Json
from .http import Request, Response, json_response
from .parameters import Invalid, ParameterReader, text_of
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["Openrouter"]

_SUBMIT = "/api/v1/videos"
_MODELS_PATH = "/api/v1/videos/models"
_POLL = re.compile(r"/api/v1/videos/([^/]+)")
_CONTENT = re.compile(r"/api/v1/videos/([^/]+)/content")
_FLAGGED: Mapping[str, Json] = {
    "reasons": ["violence"],
    "flagged_input": "...",
    "provider_name": "Kling",
    "model_slug": "",
}
_REFUSALS: Mapping[str, tuple[int, str, Mapping[str, Json] | None]] = {
    "unauthorized": (401, "No cookie auth credentials found", None),
    "no_balance": (402, "Insufficient credits. Add more using https://openrouter.ai/credits", None),
    "forbidden": (403, "This key may not use the model", {"error_type": "permission_denied"}),
    "refused": (403, "Input flagged by moderation", _FLAGGED),
    "bad_request": (400, "Invalid parameters", {"error_type": "invalid_request"}),
    "rate_limited": (429, "Rate limit exceeded", {"error_type": "rate_limit_exceeded"}),
    "error_500": (500, "Internal Server Error", {"error_type": "server"}),
    "error_503": (503, "No available model provider meets your routing requirements", None),
    "not_found": (404, "Job not found", None),
    "not_ready": (409, "The video is not ready", None),
}
_WORDS = {
    Phase.QUEUED: "pending",
    Phase.RUNNING: "in_progress",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_SIGNED_SECONDS = 86_400
"""Seconds that a signed URL lives where the sandbox sets no time; none is documented."""


@frozen(kw_only=True)
class _Model:
    """One model: its durations, and US dollars per second with sound and without."""

    durations: Sequence[int]
    expected: str
    with_sound: str
    silent: str


_THREE_TO_FIFTEEN = range(3, 16)
_MODELS = {
    "kwaivgi/kling-v3.0-std": _Model(
        durations=_THREE_TO_FIFTEEN, expected="a whole number from 3 to 15", with_sound="0.126", silent="0.084"
    ),
    "kwaivgi/kling-v3.0-pro": _Model(
        durations=_THREE_TO_FIFTEEN, expected="a whole number from 3 to 15", with_sound="0.168", silent="0.112"
    ),
    "kwaivgi/kling-video-o1": _Model(durations=(5, 10), expected="5 or 10", with_sound="0.112", silent="0.112"),
}


def _listed(name: str, model: _Model) -> Json:
    """Return an entry of the list, with the names that clients recorded."""
    return {
        "id": name,
        "supported_aspect_ratios": ["16:9", "9:16", "1:1"],
        "supported_durations": [*model.durations],
        "supported_frame_images": ["first_frame", "last_frame"],
        "supported_resolutions": ["720p"],
        "pricing_skus": {
            "duration_seconds_with_audio": model.with_sound,
            "duration_seconds_without_audio": model.silent,
        },
    }


class Openrouter:
    """OpenRouter, by its documents."""

    name = "openrouter"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; only a Bearer token is valid."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        if request.path == _SUBMIT:
            return Route(kind="submit", method="POST")
        if request.path == _MODELS_PATH:
            return Route(kind="page", method="GET")
        if match := _CONTENT.fullmatch(request.path):
            return Route(kind="content", method="GET", id=match[1])
        match = _POLL.fullmatch(request.path)
        return Route(kind="poll", method="GET", id=match[1]) if match else None

    def page(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        """Return the list of models: those of the sandbox, and one of another maker."""
        other: Json = {"id": "google/veo-3.1"}
        return json_response({"data": [other, *(_listed(name, model) for name, model in _MODELS.items())]})

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return text_of(body.get("prompt"))

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        name = body.get("model")
        model = _MODELS.get(name) if isinstance(name, str) else None
        if model is None or not isinstance(name, str):
            raise Invalid("model is required" if name is None else f"{name} is not a valid model ID")
        return _parse(name, model, body, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, ``not_found`` or ``not_ready``."""
        status, usual, metadata = _REFUSALS[reason]
        error: dict[str, Json] = {"code": status, "message": message or usual}
        if metadata is not None:
            error["metadata"] = metadata
        return json_response({"error": error}, status=status)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return json_response(_record(task, request, "pending", {}), status=202)

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id, which stands in the polling URL too."""
        if not isinstance(answer, Mapping):
            raise TypeError("an acceptance is an object")
        return {name: value for name, value in answer.items() if name not in {"id", "polling_url"}}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll: signed URLs, and those of the content, which asks for the key."""
        task, phase = view.task, view.task.phase(view.now)
        word = _WORDS[phase]
        more: dict[str, Json] = {}
        if phase in {Phase.QUEUED, Phase.RUNNING} and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "uploading"
        if phase is Phase.FAILED:
            more = {"generation_id": task.id, "error": task.faults.get("failed") or "The generation failed"}
        elif phase is Phase.CANCELLED:
            more = {"generation_id": task.id, "error": "Job was cancelled"}
        elif phase is Phase.COMPLETED:
            content = f"{request.origin}/api/v1/videos/{task.id}/content?index="
            more = {
                "generation_id": task.id,
                "unsigned_urls": [f"{content}{index}" for index, _ in enumerate(view.outputs)],
                "usage": {"cost": float(task.spec.price), "is_byok": False},
            }
            if view.outputs and "unsigned" not in task.faults:
                ttl = _SIGNED_SECONDS if sandbox.output_ttl is None else sandbox.output_ttl
                more["urls"], more["expires_at"] = list(view.outputs), int(request.utc.timestamp() + ttl)
        return json_response(_record(task, request, word, more))

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Never called: no document of this provider shows a cancellation, so no path means one."""
        raise NotImplementedError


def _record(task: Task, request: Request, word: str, more: Mapping[str, Json]) -> Json:
    polling_url = f"{request.origin}/api/v1/videos/{task.id}"
    return {"id": task.id, "polling_url": polling_url, "status": word, **more}


def _parse(name: str, model: _Model, body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a submission's parameters. Raises Invalid with all its errors."""
    reader = ParameterReader(body)
    reader.string("model", required=True)
    prompt = reader.string("prompt", required=True, max_length=2500)
    duration = reader.integer("duration", model.durations, 5, expected=model.expected)
    sound = reader.boolean("generate_audio", default=True)
    reader.choice("aspect_ratio", ("16:9", "9:16", "1:1"), "16:9")
    reader.choice("resolution", ("720p",), "720p")
    reader.choice("size", ("1280x720", "720x1280", "720x720"), "1280x720")
    reader.url("callback_url")
    reader.object("provider")
    frames = _frames(reader)
    reader.raise_errors(strict=strict)
    return TaskSpec(
        provider="openrouter",
        model=name,
        scene="image-to-video" if frames else "text-to-video",
        kind="video",
        prompt=prompt,
        price=Decimal(model.with_sound if sound else model.silent) * duration,
        id_form="gen-vid-1767225600-{:.20}",
    )


def _frames(reader: ParameterReader) -> list[str]:
    """Read the types of the frames; each may be given once."""
    types: list[str] = []
    for position, frame in enumerate(reader.array("frame_images")):
        inner = ParameterReader(frame if isinstance(frame, Mapping) else {})
        inner.choice("type", ("image_url",), "")
        types.append(inner.choice("frame_type", ("first_frame", "last_frame"), ""))
        url = ParameterReader(inner.object("image_url"))
        url.url("url", required=True)
        for error in (*inner.errors, *url.errors):
            reader.add_error(f"frame_images[{position}].{error}")
        if not types[-1] and not inner.errors:
            reader.add_error(f"frame_images[{position}].frame_type is required")
    if len(set(types)) != len(types):
        reader.add_error("frame_images must hold each frame once")
    return types

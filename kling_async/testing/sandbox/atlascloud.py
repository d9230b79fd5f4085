"""Atlas Cloud's wire format: POST /api/v1/model/generateVideo and GET /api/v1/model/prediction/{id}.

Beside them GET /public/v1/balance. Paths, status words, HTTP statuses, the two forms of errors, the code 1039 and the
balance are documented; fields and ranges are those that Atlas Cloud's own nodes for ComfyUI send. A failed task costs
nothing, as documented. Inferred: the words of refusals, that content can be refused at once, with HTTP 400 and 1039,
that an unknown id is HTTP 404, and prices by the second for all models, with sound at the rate without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from ...types.prediction import Json
from .http import Request, Response, json_response
from .parameters import Invalid, ParameterReader, text_of
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["Atlascloud"]

_SUBMIT = "/api/v1/model/generateVideo"
_BALANCE = "/public/v1/balance"
_POLL = re.compile(r"/api/v1/model/prediction/([^/]+)")
_REFUSALS: Mapping[str, tuple[int, int, str]] = {
    "unauthorized": (401, 401, "unauthorized"),
    "no_balance": (402, 402, "insufficient balance"),
    "forbidden": (403, 403, "the account is not permitted to do this"),
    "refused": (400, 1039, "the input was rejected by content moderation"),
    "bad_request": (400, 400, "invalid request"),
    "rate_limited": (429, 429, "rate limit reached"),
    "error_500": (500, 500, "internal error"),
    "error_503": (503, 503, "temporarily unavailable"),
    "not_found": (404, 404, "prediction not found"),
}
_WORDS = {
    Phase.QUEUED: "processing",
    Phase.RUNNING: "processing",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "failed",
}
_OPEN = frozenset({Phase.QUEUED, Phase.RUNNING})
_EDIT_SECONDS = 5
"""The length of every video that is edited here."""


@frozen(kw_only=True)
class _Model:
    """One model: its scenes and lengths, the price per second, and whether it is O3."""

    scenes: tuple[str, ...]
    durations: tuple[int, ...]
    price: str
    is_o3: bool = False


_V30 = ("text-to-video", "image-to-video")
_O3 = (*_V30, "reference-to-video", "video-edit")
_THREE_TO_FIFTEEN = tuple(range(3, 16))
_MODELS = {
    "kwaivgi/kling-v3.0-std": _Model(scenes=_V30, durations=(5, 10), price="0.071"),
    "kwaivgi/kling-v3.0-pro": _Model(scenes=_V30, durations=(5, 10), price="0.095"),
    "kwaivgi/kling-video-o3-std": _Model(scenes=_O3, durations=_THREE_TO_FIFTEEN, price="0.071", is_o3=True),
    "kwaivgi/kling-video-o3-pro": _Model(scenes=_O3, durations=_THREE_TO_FIFTEEN, price="0.095", is_o3=True),
}


class Atlascloud:
    """Atlas Cloud, by its documents."""

    name = "atlascloud"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; only a Bearer token is valid."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        if request.path == _SUBMIT:
            return Route(kind="submit", method="POST")
        if request.path == _BALANCE:
            return Route(kind="page", method="GET")
        match = _POLL.fullmatch(request.path)
        return Route(kind="poll", method="GET", id=match[1]) if match else None

    def page(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        """Return the balance."""
        amount: Json = {"value": f"{sandbox.balance:.6f}", "currency": "usd"}
        return json_response({"object": "balance", "scope": "account", "available": amount, "cash": amount})

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return text_of(body.get("prompt"))

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        path = text_of(body.get("model"))
        name, _, scene = path.rpartition("/")
        model = _MODELS.get(name)
        if model is None or scene not in model.scenes:
            raise Invalid(f"model not found: {path}" if path else "model is required")
        return _parse(path, scene, model, body, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        status, code, usual = _REFUSALS[reason]
        body: Json = {"code": code, "msg": message or usual, "request_id": "req_sandbox", "data": None}
        return json_response(body, status=status)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return json_response(_record(task, request, "processing", {}))

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id, which stands in the polling URL too."""
        data = answer["data"] if isinstance(answer, Mapping) else None
        if not isinstance(answer, Mapping) or not isinstance(data, Mapping):
            raise TypeError("an acceptance holds an object named data")
        return {**answer, "data": {name: value for name, value in data.items() if name not in {"id", "urls"}}}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll."""
        task, phase = view.task, view.task.phase(view.now)
        word = _WORDS[phase]
        more: dict[str, Json] = {}
        if phase in _OPEN and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "uploading"
        if phase is Phase.FAILED:
            more = {"error": task.faults.get("failed") or "The generation failed", "error_code": 1000}
        elif phase is Phase.CANCELLED:
            more = {"error": "The task was stopped", "error_code": 1000}
        elif phase is Phase.COMPLETED:
            more = {
                "outputs": list(view.outputs),
                "has_nsfw_contents": ["flagged" in task.faults for _ in view.outputs],
            }
        return json_response(_record(task, request, word, more))

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Never called: no document of this provider shows a cancellation, so no path means one."""
        raise NotImplementedError


def _record(task: Task, request: Request, word: str, more: Mapping[str, Json]) -> Json:
    data: dict[str, Json] = {
        "id": task.id,
        "model": task.spec.model,
        "status": word,
        "outputs": [],
        "urls": {"get": f"{request.origin}/api/v1/model/prediction/{task.id}"},
        "created_at": f"{task.utc:%Y-%m-%dT%H:%M:%S}Z",
        **more,
    }
    return {"code": 200, "data": data}


def _parse(path: str, scene: str, model: _Model, body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a submission's parameters. Raises Invalid with all its errors."""
    reader = ParameterReader(body)
    reader.string("model", required=True)
    reader.url("webhook_url")
    prompt = reader.string("prompt", required=True, max_length=2500)
    seconds = _seconds(reader, scene, model)
    _media(reader, scene)
    if scene in ("text-to-video", "reference-to-video"):
        reader.choice("aspect_ratio", ("16:9", "9:16", "1:1"), "16:9")
    if not model.is_o3:
        reader.string("negative_prompt", min_length=0, max_length=2500)
        reader.check_fraction("cfg_scale")
        reader.array("voice_list")
    reader.raise_errors(strict=strict)
    return TaskSpec(
        provider="atlascloud",
        model=path,
        scene=scene,
        kind="video",
        prompt=prompt,
        price=Decimal(model.price) * seconds,
        refunds=True,
    )


def _seconds(reader: ParameterReader, scene: str, model: _Model) -> int:
    """Read the length and the sound of what is made; an edit is as long as its video, and has its sound."""
    if scene == "video-edit":
        return _EDIT_SECONDS
    # The image endpoint of O3 has a name of its own for the sound.
    reader.boolean("generate_audio" if model.is_o3 and scene == "image-to-video" else "sound", default=False)
    allowed = model.durations
    expected = f"a whole number from {allowed[0]} to {allowed[-1]}" if model.is_o3 else "5 or 10"
    return reader.integer("duration", allowed, 5, expected=expected)


def _media(reader: ParameterReader, scene: str) -> None:
    if scene == "image-to-video":
        reader.url("image", required=True)
        reader.url("end_image")
    elif scene in ("reference-to-video", "video-edit"):
        reader.boolean("keep_original_sound", default=True)
        reader.url("video", required=scene == "video-edit")
        reader.urls("images", max_items=4 if scene == "video-edit" else 7)

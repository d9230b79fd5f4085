"""Replicate's wire format: predictions of models below /v1/models/kwaivgi, polled and cancelled by their ids.

The paths, the statuses, the schemas of kling-o1 and v3, the 429 and the removal of data after an hour are documented.
The prediction, the 401 and the 404 are those of the traffic that the vendor's client recorded; the 402 and the 422 are
those that clients quote, as are the schemas of 2.6 and earlier, the mode 4k, and the prices. Inferred, since no page or
client shows them: the 403, the 5xx, a refusal by the content policy at once (it is known of finished predictions only),
and the response to a cancellation that comes too late.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from attrs import frozen

from ...types.prediction import Json
from .http import Request, Response, json_response, parse_json
from .parameters import Invalid, ParameterReader, text_of
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["Replicate"]

_SUBMIT = re.compile(r"/v1/models/kwaivgi/([^/]+)/predictions")
_POLL = re.compile(r"/v1/predictions/([^/]+)")
_CANCEL = re.compile(r"/v1/predictions/([^/]+)/cancel")
_BILLING = "Go to https://replicate.com/account/billing#billing to purchase credit."
_FLAGGED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "unauthorized": (401, "Unauthenticated", "You did not pass a valid authentication token"),
    "no_balance": (402, "Insufficient credit", f"You have insufficient credit to run this model. {_BILLING}"),
    "forbidden": (403, "Forbidden", "You do not have permission to perform this action."),
    "not_found": (404, "", "The requested resource could not be found."),
    "bad_request": (422, "Input validation failed", "- input: prompt is required\n"),
    "refused": (422, "Input validation failed", _FLAGGED),
    "rate_limited": (429, "", "Request was throttled. Your rate limit resets in ~30s."),
    "error_500": (500, "Internal server error", "An unexpected error occurred."),
    "error_503": (503, "Service unavailable", "The service is temporarily unavailable."),
}
_WORDS = dict(zip(Phase, ("starting", "processing", "succeeded", "failed", "canceled"), strict=True))
_RATIOS = ("16:9", "9:16", "1:1")
_KEPT_SECONDS = 3600.0
"""Seconds after the end for which a prediction's input, output and logs are kept."""


@frozen(kw_only=True)
class _Model:
    """One model.

    Attributes:
        prices: US dollars for a second of video by mode: without sound, and with it. A model without modes has "".
        default_mode: the mode of inputs that name none.
        durations: allowed durations in seconds.
        sound: whether there is sound by default; None if the model has no sound.
        images: which frames it takes: none is required, the first one is, or there may be a last one too.
        references: whether it takes reference images and a video.
        shots: whether it takes several shots.
    """

    prices: Mapping[str, tuple[str, str]]
    default_mode: str = ""
    durations: Container[int] = (5, 10)
    sound: bool | None = None
    images: Literal["first", "first required", "first and last"] = "first"
    references: bool = False
    shots: bool = False


_THREE_TO_FIFTEEN = range(3, 16)
_MODELS: Mapping[str, _Model] = MappingProxyType(
    {
        "kling-o1": _Model(
            # With a video, here in place of sound, it is dearer.
            prices={"std": ("0.084", "0.126"), "pro": ("0.112", "0.168")},
            default_mode="pro",
            durations=range(3, 11),
            images="first and last",
            references=True,
        ),
        "kling-v3-omni-video": _Model(
            prices={"standard": ("0.168", "0.224"), "pro": ("0.224", "0.28"), "4k": ("0.42", "0.42")},
            default_mode="pro",
            durations=_THREE_TO_FIFTEEN,
            sound=False,
            images="first and last",
            references=True,
            shots=True,
        ),
        "kling-v3-video": _Model(
            prices={"standard": ("0.168", "0.252"), "pro": ("0.224", "0.336"), "4k": ("0.42", "0.42")},
            default_mode="pro",
            durations=_THREE_TO_FIFTEEN,
            sound=False,
            images="first and last",
            shots=True,
        ),
        "kling-v2.6": _Model(prices={"": ("0.07", "0.14")}, sound=True),
        "kling-v2.5-turbo-pro": _Model(prices={"": ("0.07", "0.07")}, images="first and last"),
        "kling-v2.1-master": _Model(prices={"": ("0.28", "0.28")}),
        "kling-v2.1": _Model(
            prices={"standard": ("0.05", "0.05"), "pro": ("0.09", "0.09")},
            default_mode="standard",
            images="first required",
        ),
    }
)


class Replicate:
    """Replicate, by its documents."""

    name = "replicate"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; only a Bearer token is documented."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        if match := _CANCEL.fullmatch(request.path):
            return Route(kind="cancel", method="POST", id=match[1])
        if match := _POLL.fullmatch(request.path):
            return Route(kind="poll", method="GET", id=match[1])
        match = _SUBMIT.fullmatch(request.path)
        return Route(kind="submit", method="POST", model=match[1]) if match and match[1] in _MODELS else None

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        given = body.get("input")
        return text_of(given.get("prompt")) if isinstance(given, Mapping) else ""

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        given = body.get("input")
        if not isinstance(given, Mapping):
            raise Invalid("input is required")
        if unknown := sorted(body.keys() - {"input", "webhook", "webhook_events_filter"}):
            raise Invalid(f"Additional property {unknown[0]} is not allowed")
        return _parse_task(route.model, given, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        status, title, detail = _REFUSALS[reason]
        problem: dict[str, Json] = {"title": title} if title else {}
        problem |= {"detail": message or detail, "status": status}
        return json_response(problem, status=status, headers={"content-type": "application/problem+json"})

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return json_response(_prediction(task, request, "starting"), status=201)

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id."""
        if not isinstance(answer, Mapping):
            raise TypeError("an acceptance is an object")
        return {name: value for name, value in answer.items() if name not in {"id", "urls"}}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll."""
        task, phase = view.task, view.task.phase(view.now)
        word = _WORDS[phase]
        if phase in {Phase.QUEUED, Phase.RUNNING} and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "booting"
        more: dict[str, Json] = {}
        if phase not in {Phase.QUEUED, Phase.RUNNING}:
            spent, waited = task.done_at - task.started_at, task.done_at - task.at
            more["metrics"] = {"predict_time": round(spent, 6), "total_time": round(waited, 6)}
            more["completed_at"] = f"{task.done_utc:%Y-%m-%dT%H:%M:%S.%fZ}"
            more["started_at"] = f"{task.utc + timedelta(seconds=task.started_at - task.at):%Y-%m-%dT%H:%M:%S.%fZ}"
        if phase is Phase.FAILED:
            more["error"] = task.faults.get("failed") or "Prediction failed."
        if task.is_removed(view.now):
            more |= {"data_removed": True, "input": {}, "logs": None}
        elif view.outputs:
            # One video, so one URL and no list.
            more["output"] = view.outputs[0]
        return json_response(_prediction(task, request, word, **more))

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Return the response to a cancellation: the prediction as it stands now, changed or not."""
        return self.report(view, request, sandbox)


def _prediction(task: Task, request: Request, word: str, **more: Json) -> Json:
    url = f"{request.origin}/v1/predictions/{task.id}"
    return {
        "id": task.id,
        "model": f"kwaivgi/{task.spec.model}",
        # As for every model that Replicate maintains.
        "version": "hidden",
        "input": {"prompt": task.spec.prompt},
        "logs": "",
        "output": None,
        "data_removed": False,
        "error": None,
        "source": "api",
        "status": word,
        "created_at": f"{task.utc:%Y-%m-%dT%H:%M:%S.%fZ}",
        "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{task.id}"},
        **more,
    }


def _parse_task(name: str, given: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse the input of a submission. Raises Invalid with all its errors."""
    model, reader = _MODELS[name], ParameterReader(given)
    is_v3 = name.startswith("kling-v3")
    prompt = reader.string("prompt", required=True, max_length=2500 if is_v3 else None)
    mode = reader.choice("mode", tuple(model.prices), model.default_mode) if model.default_mode else ""
    if name != "kling-v2.1":
        reader.choice("aspect_ratio", _RATIOS, "16:9")
    if not model.references:
        reader.string("negative_prompt", min_length=0, max_length=2500 if is_v3 else None)
    _read_frames(reader, model, mode)
    has_video = model.references and _read_references(reader, mode)
    is_edit = has_video and given.get("video_reference_type") == "base"
    sound = model.sound is not None and reader.boolean("generate_audio", default=model.sound)
    if sound and has_video:
        reader.add_error("generate_audio is mutually exclusive with reference_video")
    duration = reader.integer("duration", model.durations, 5, expected="one of the schema's durations")
    if name == "kling-o1" and not has_video and not given.get("reference_images") and duration not in (5, 10):
        reader.add_error("duration must be 5 or 10 for text and image to video")
    if model.shots:
        _read_shots(reader, duration)
    reader.raise_errors(strict=strict)
    dearer = has_video if model.sound is None and model.references else sound
    # An edited video is as long as the given one, which the sandbox does not fetch: 5 seconds.
    seconds = 5 if is_edit else duration
    return TaskSpec(
        provider="replicate",
        model=name,
        scene="video",
        kind="video",
        prompt=prompt,
        price=Decimal(model.prices[mode][int(dearer)]) * seconds,
        id_form="{:.26}",
        kept_seconds=_KEPT_SECONDS,
    )


def _read_frames(reader: ParameterReader, model: _Model, mode: str) -> None:
    first = reader.url("start_image", required=model.images == "first required")
    if model.images == "first":
        return
    last = reader.url("end_image")
    if last and not first:
        reader.add_error("end_image requires start_image")
    if last and model.images == "first required" and mode != "pro":
        reader.add_error("end_image is for the mode pro only")


def _read_references(reader: ParameterReader, mode: str) -> bool:
    """Check reference images and a video; return whether there is a video."""
    has_video = bool(reader.url("reference_video"))
    kind = reader.choice("video_reference_type", ("feature", "base"), "feature")
    reader.boolean("keep_original_sound", default=True)
    reader.urls("reference_images", max_items=4 if has_video else 7, suffix=" when a video is given" * has_video)
    if has_video and mode == "4k":
        reader.add_error("reference_video is not supported in 4k mode")
    if has_video and kind == "base" and reader.body.get("end_image"):
        reader.add_error("end_image is not supported beside a video to edit")
    return has_video


def _read_shots(reader: ParameterReader, duration: int) -> None:
    """Check multi_prompt: a string that holds a JSON array of at most 6 shots, whose durations add up."""
    text = reader.string("multi_prompt")
    if not text:
        return
    try:
        shots = parse_json(text.encode())
    except (ValueError, RecursionError):
        reader.add_error("multi_prompt must be a JSON array")
        return
    if not isinstance(shots, list) or not 1 <= len(shots) <= 6:
        reader.add_error("multi_prompt must be a JSON array of 1 to 6 shots")
        return
    total = 0
    for position, shot in enumerate(shots):
        prompt, seconds = (shot.get("prompt"), shot.get("duration")) if isinstance(shot, Mapping) else (None, None)
        if not isinstance(prompt, str) or not prompt.strip():
            reader.add_error(f"multi_prompt[{position}].prompt is required")
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
            reader.add_error(f"multi_prompt[{position}].duration must be a whole number of seconds, at least 1")
        else:
            total += seconds
    if total != duration:
        reader.add_error(f"the durations in multi_prompt must sum to {duration}")

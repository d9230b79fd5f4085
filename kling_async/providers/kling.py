"""Kling's own API (Kuaishou): two standards behind one name; which one follows from the model.

    POST /{text-to-video,image-to-video,motion-control,omni-video}/{model}      submit, new standard
    GET  /tasks?task_ids={id},{id}                                              poll, of up to 20
    POST /v1/{images,videos}/{product}                                          submit, legacy standard
    GET  /v1/{images,videos}/{product}/{task_id}                                poll

An API key is valid for both; an access key with its secret key, which sign a token, for the legacy standard only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import quote

from attrs import evolve

from ..types.authorizer import Authorizer
from ..types.capabilities import Capabilities, Repeat
from ..types.errors import (
    AnswerLost,
    BadRequest,
    InputError,
    InputFault,
    UnexpectedReply,
)
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene, VideoInput
from ..types.limits import Limits
from ..types.media_headers import MediaKind
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Fact
from .authorizers import JwtAuthorizer
from .base import Provider
from .codec.envelope import Envelope, Record
from .codec.errors import ErrorRules
from .codec.fields import as_list, as_object, parse_id
from .codec.kling_legacy import build_legacy_body, is_legacy_task, parse_legacy_envelope, parse_legacy_task
from .codec.kling_tasks import build_task_body, parse_task, shots_prompt
from .codec.statuses import COMMON_STATUSES
from .codec.strict_json import excerpt, json_body
from .kling_facts import CAPABILITIES, ERRORS, PROBABLY_REJECTED, REJECTED
from .kling_legacy_models import LEGACY_PATHS
from .kling_models import MODELS
from .spec import ModelSpec, value_of
from .validation import build_body, infer_scene

__all__ = ["Kling"]

_NOT_FOUND = ("1201", "1203")
"""Codes of a look-up that finds nothing: the first is answered, as is reported, and the second is documented."""
_TAKEN: Final = re.compile(r"\bexternal_task_id\b.*\b(?:already|duplicate)")
"""Pattern, in lower case, of the message that refuses a client id which was used before, as a caller saw it."""


class Kling(Provider):
    """Kling's own API, as documented on 2026-09-20."""

    name: ClassVar[str] = "kling"
    title: ClassVar[str] = "Kling"
    origin: ClassVar[str] = "https://api-singapore.klingai.com"
    api_key_env: ClassVar[str] = "KLING_API_KEY"
    api_key_pair_env: ClassVar[tuple[str, ...]] = ("KLING_ACCESS_KEY", "KLING_SECRET_KEY")
    base_url_env: ClassVar[str] = "KLING_BASE_URL"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        OutputKind.IMAGE: "kling-image-o1",
        OutputKind.VIDEO: "kling-o1-std",
    }
    # Slots come with a resource package, 5 or 10 in the example of the page; an image job occupies one per image.
    limits: ClassVar[Limits] = Limits(max_open=10)
    statuses: ClassVar[Mapping[str, Status]] = {
        **COMMON_STATUSES,
        "submitted": Status.QUEUED,
        "succeed": Status.SUCCEEDED,
    }
    error_rules: ClassVar[ErrorRules] = ERRORS
    # Videos are given by URL only. https://kling.ai/document-api/api/video/o1/video-omni
    inline_kinds: ClassVar[frozenset[MediaKind]] = frozenset({"image"})

    def authorizer(self, api_key: str, *, scheme: str | None = None) -> Authorizer:
        if ":" not in api_key:
            return super().authorizer(api_key, scheme=scheme)
        access_key, _, secret_key = api_key.partition(":")
        del api_key  # tracebacks may print locals
        return JwtAuthorizer(access_key, secret_key)

    def check_key(self, input: Input, api_key: str) -> None:
        spec, is_pair = self.spec(input), ":" in api_key
        del api_key  # tracebacks may print locals
        if is_pair and spec.name not in LEGACY_PATHS:
            allowed = (
                f"must be an API key, {self.api_key_env}: {spec.name} is on Kling's new standard, which takes no "
                f"access key and secret key; those are for {', '.join(LEGACY_PATHS)}"
            )
            raise InputError.of("Wrong kind of key", [InputFault("api_key", "[masked]", allowed)], provider=self.name)

    def repeat(self, input: Input) -> Fact[Repeat]:
        spec = self.spec(input)
        seen = spec.name not in LEGACY_PATHS and infer_scene(spec, input) is Scene.TEXT_TO_VIDEO
        return REJECTED if seen and not _is_omni(spec) else PROBABLY_REJECTED

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        values = build_body(spec, input, scene)
        if spec.name in LEGACY_PATHS:
            path, body = LEGACY_PATHS[spec.name][scene], build_legacy_body(values, model_name=spec.wire_name)
        else:
            path = f"/{'omni-video' if _is_omni(spec) else scene}/{spec.wire_name}"
            only_prompt = scene is Scene.TEXT_TO_VIDEO and not _is_omni(spec)
            body = build_task_body(_task_values(spec, input, scene, values), only_prompt=only_prompt)
        return HttpRequest(method="POST", path=path, body=json_body(body))

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        paths = _legacy_paths(prediction)
        path = f"{paths[0]}/{prediction.id}" if paths else f"/tasks?task_ids={prediction.id}"
        return HttpRequest(method="GET", path=path)

    def may_share_poll(self, prediction: Prediction) -> bool:
        return not _legacy_paths(prediction)

    def build_shared_poll(self, predictions: Sequence[Prediction]) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/tasks?task_ids={','.join(one.id for one in predictions)}")

    def split_shared_poll(self, document: Json) -> Mapping[str, Json]:
        body = as_object(document)
        tasks = [as_object(one) for one in as_list(body.get("data"))]
        return {id: {**body, "data": [one]} for one in tasks if (id := parse_id(one.get("id"))) is not None}

    def build_result(self, prediction: Prediction, response: HttpResponse) -> HttpRequest | None:
        paths = _legacy_paths(prediction)
        # A prediction names its model and not its endpoint; where a model has two, the second is asked, too.
        if len(paths) < 2 or self._envelope(response)[0].code not in _NOT_FOUND:
            return None
        return HttpRequest(method="GET", path=f"{paths[1]}/{prediction.id}")

    def parse_submit(self, response: HttpResponse, *, input: Input, key: str | None) -> Prediction:
        try:
            return super().parse_submit(response, input=input, key=key)
        except BadRequest as error:
            if error.code != "1201" or not _TAKEN.search(error.message.lower()):
                raise
            # Each client id is fresh: whatever has it is this submission, which something on the way sent twice.
            raise AnswerLost(
                "Kling has a task of this external_task_id: the submission arrived before, and its answer was lost",
                provider=self.name,
                key=key,
                http_status=response.status,
                code=error.code,
                excerpt=excerpt(response),
            ) from None

    def add_client_id(self, request: HttpRequest, client_id: str) -> HttpRequest:
        body: dict[str, Json] = json.loads(request.body)
        if request.path.startswith("/v1/"):
            body["external_task_id"] = client_id
        else:
            body["options"] = {**as_object(body.get("options")), "external_task_id": client_id}
        return evolve(request, body=json_body(body))

    def build_lookup(self, input: Input, client_id: str) -> HttpRequest | None:
        spec, id = self.spec(input), quote(client_id, safe="")
        if spec.name not in LEGACY_PATHS:
            return HttpRequest(method="GET", path=f"/tasks?external_task_ids={id}")
        scene = infer_scene(spec, input) or spec.scenes[0]
        return HttpRequest(method="GET", path=f"{LEGACY_PATHS[spec.name][scene]}/{id}")

    def parse_lookup(
        self, response: HttpResponse, *, input: Input, client_id: str, key: str | None
    ) -> Prediction | None:
        envelope, document, decode_error = self._envelope(response)
        data = as_object(document).get("data")
        if envelope.refused and envelope.code in _NOT_FOUND:
            return None
        if response.is_success and decode_error is None and not envelope.refused and data == []:
            return None
        # Only one task can have the id, so anything else answers another question.
        if len(as_list(data)) > 1 or (_client_id(envelope.record) or client_id) != client_id:
            message = "The reply names another task than the one that was looked up"
            raise UnexpectedReply(message, provider=self.name, http_status=response.status, path="$.data")
        return self.parse_submit(response, input=input, key=key)

    def parse_poll(self, response: HttpResponse, *, prediction: Prediction) -> Prediction:
        try:
            return super().parse_poll(response, prediction=prediction)
        except BadRequest as error:
            error.is_unknown_id = error.is_unknown_id or error.code in _NOT_FOUND
            raise

    def parse_envelope(self, document: Json) -> Envelope:
        return parse_legacy_envelope(document)

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        if not envelope.record:
            # On the new standard an unknown id is left out of the list.
            error = BadRequest("Kling knows no task of this id", provider=self.name, http_status=response.status)
            error.is_unknown_id = True
            raise error
        parse = parse_legacy_task if is_legacy_task(envelope.record) else parse_task
        return parse(envelope, response, provider=self.name)


def _client_id(record: Mapping[str, Json]) -> Json:
    """Return the caller's own id that a record of either standard repeats; None if it repeats none."""
    return record.get("external_id") or as_object(record.get("task_info")).get("external_task_id")


def _is_omni(spec: ModelSpec) -> bool:
    return Scene.REFERENCE_TO_VIDEO in spec.scenes


def _legacy_paths(prediction: Prediction) -> list[str]:
    """Return the paths where a prediction may be, without repeats; none on the new standard."""
    spec = Kling.models.get(prediction.model)
    return list(dict.fromkeys(LEGACY_PATHS.get(spec.name, {}).values())) if spec else []


def _task_values(spec: ModelSpec, input: Input, scene: Scene, values: dict[str, Json]) -> dict[str, Json]:
    """Return the values of a submission under the names that the new standard has for them in this scene."""
    keep, sound = values.pop("keep_original_sound", None), values.pop("audio", None)
    if isinstance(keep, bool) and value_of(input, "video"):
        values["audio"] = "original" if keep else "off"
    elif isinstance(sound, bool):
        values["audio"] = "native" if sound else "off"
    if scene is Scene.MOTION_CONTROL:
        values["image"] = values.pop("first_frame")
        values.setdefault("character_orientation", "video")
    elif scene is Scene.REFERENCE_TO_VIDEO and "base_video" in values:
        values["feature_video"] = values.pop("base_video")
    elif scene is Scene.VIDEO_EDIT and spec.parameter("multi_shot"):
        values["multi_shot"] = False
    if isinstance(input, VideoInput) and values.pop("shots", None):
        values["prompt"] = shots_prompt(input.shots)
        if spec.parameter("multi_shot"):
            values["multi_shot"] = True
    if _is_omni(spec) and not values.keys() & {"first_frame", "feature_video", "base_video"}:
        # Required without a first frame and a video, though the table gives it a default.
        values.setdefault("aspect_ratio", "16:9")
    return values

"""fal (fal.ai): Kling images and videos behind a queue.

    POST https://queue.fal.run/{endpoint}                     submit
    GET  https://queue.fal.run/{owner}/{app}/requests/{id}    and below it: status, cancel
    POST https://rest.fal.ai/storage/upload/initiate          the place for a file, which is put there

The facts are from fal's own pages, and from its clients in Python and JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, cast
from urllib.parse import quote

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.errors import InputError, InputFault, UnexpectedReply
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene, VideoInput
from ..types.limits import LimitKind, Limits
from ..types.media_values import MediaFile
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Source
from ..types.uploads import UploadRequest, UploadTicket
from .base import Provider
from .codec.envelope import Envelope, Record
from .codec.errors import ErrorRules
from .codec.fal_queue import (
    QUEUE_STATUSES,
    QueueEnvelope,
    as_queue_envelope,
    awaits_result,
    merge_result,
    parse_queue_envelope,
    parse_queue_record,
    queue_path,
)
from .codec.fields import as_object, parse_code
from .codec.strict_json import json_body
from .codec.uploads import parse_ticket
from .fal_facts import CAPABILITIES, SLOTS
from .fal_listing import endpoint_of, page_of, parse_page
from .fal_models import FAL_MODELS
from .known_models import known_models
from .listing import Difference, KnownModel, ListedModel, compare
from .spec import ModelSpec
from .validation import build_body, infer_scene

__all__ = ["Fal"]

_SUFFIXES: Mapping[Scene, str] = {Scene.VIDEO_EDIT: "video-to-video/edit"}
"""The last parts of an endpoint that differ from the name of its scene."""
_GONE = (404, 410)
"""HTTP statuses of the page of an endpoint that is gone."""
_NUMBERS = ("kling/v4",)
"""Models whose durations are numbers; those of all others are strings."""
_IMAGE_URL = ("fal-ai/kling-video/o3/standard", "fal-ai/kling-video/o3/pro", "fal-ai/kling-video/o3/4k")
"""Models whose image-to-video has `image_url` where their reference-to-video has `start_image_url`."""


class Fal(Provider):
    """fal, as documented on 2026-11-29."""

    name: ClassVar[str] = "fal"
    title: ClassVar[str] = "fal"
    origin: ClassVar[str] = "https://queue.fal.run"
    api_key_env: ClassVar[str] = "FAL_KEY"
    base_url_env: ClassVar[str] = "FAL_BASE_URL"
    webhook_keys: ClassVar[tuple[str, str] | None] = ("https://rest.fal.ai", "/.well-known/jwks.json")
    # As fal's own client in JavaScript has it; its page names the client only. https://github.com/fal-ai/fal-js
    upload_origin: ClassVar[str | None] = "https://rest.fal.ai"
    schemes: ClassVar[tuple[str, ...]] = ("key",)
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = FAL_MODELS
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        # O1 needs reference images here, and has no text-to-video.
        OutputKind.IMAGE: "fal-ai/kling-image/o3",
        OutputKind.VIDEO: "fal-ai/kling-video/o3/standard",
    }
    listing_origin: ClassVar[str] = "https://fal.ai"
    limits: ClassVar[Limits] = Limits(max_open=40)
    limit_sources: ClassVar[Mapping[LimitKind, Source]] = {LimitKind.SLOTS: SLOTS}
    statuses: ClassVar[Mapping[str, Status]] = QUEUE_STATUSES
    # "User is locked. Reason: Exhausted balance. ...", or "... Reason: TOP_UP.", with HTTP 403.
    # HTTP 499, the caller's connection was closed or its request cancelled, says nothing of what was accepted before.
    error_rules: ClassVar[ErrorRules] = ErrorRules(
        outage_codes=(range(499, 10_000),), balance_messages=re.compile(r"\bbalance\b|top[-_ ]?up")
    )

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        body = build_body(spec, input, scene)
        if isinstance(input, VideoInput):
            _adapt_video(body, spec, input, scene)
        else:
            body["resolution"] = input.resolution.upper()
            if "image_url" in body:
                (body["image_url"],) = cast("list[Json]", body["image_url"])
        return HttpRequest(method="POST", path=f"/{_endpoint(spec, input, scene)}", body=json_body(body))

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        return evolve(request, path=f"{request.path}?fal_webhook={quote(url, safe='')}")

    def webhook_replies(self, document: Json, body: bytes) -> tuple[HttpResponse, ...]:
        # The cause of a failure comes without its HTTP status and headers, by which billing and retries are judged.
        payload = as_object(as_object(document).get("payload"))
        if as_object(document).get("status") != "OK" or not payload:
            return ()
        status = HttpResponse(status=200, body=json_body({"status": "COMPLETED"}))
        return status, HttpResponse(status=200, body=json_body(payload))

    def build_upload(self, file: MediaFile) -> UploadRequest:
        body = json_body({"file_name": file.upload_name, "content_type": file.mime})
        path = "/storage/upload/initiate?storage_type=fal-cdn-v3"
        return UploadRequest(request=HttpRequest(method="POST", path=path, body=body))

    def parse_upload(self, response: HttpResponse, file: MediaFile) -> UploadTicket:
        ticket = self.read_document(response)
        return parse_ticket(
            url=ticket.get("upload_url"),
            headers={"Content-Type": file.mime},
            address=ticket.get("file_url"),
            response=response,
            provider=self.name,
            path="$.upload_url",
        )

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path=self._path(prediction, "/status"))

    def build_result(self, prediction: Prediction, response: HttpResponse) -> HttpRequest | None:
        # HTTP 202 is documented for a request that waits or runs: few statuses have to be decoded here as well.
        if response.status == 202 and b"COMPLETED" not in response.body:
            return None
        envelope, _, error = self._envelope(response)
        if error is not None or response.status // 100 != 2 or not awaits_result(envelope):
            return None
        return HttpRequest(method="GET", path=self._path(prediction))

    def build_cancel(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="PUT", path=self._path(prediction, "/cancel"))

    def parse_result(self, response: HttpResponse, *, prediction: Prediction, polled: HttpResponse) -> Prediction:
        """Parse the response to the request for a result: the result, or the model's error; see `merge_result`."""
        status, raw, _ = self._envelope(polled)
        result, document, error = self._envelope(response)
        merged = merge_result(status, None if error else result, response)
        if merged is None:
            return self.parse_poll(response, prediction=prediction)
        return self._update(prediction, merged, response, raw if error else document)

    def build_listing(self, answered: Sequence[HttpResponse]) -> HttpRequest | None:
        if answered and answered[-1].status not in _GONE:
            self._page(answered[-1], "")  # raises the error of its status
        endpoints = sorted(self._endpoints)
        return page_of(endpoints[len(answered)]) if len(answered) < len(endpoints) else None

    def compare_listing(self, responses: Sequence[HttpResponse]) -> tuple[Difference, ...]:
        pages = zip(sorted(self._endpoints), responses, strict=True)
        listed = [self._page(response, endpoint) for endpoint, response in pages if response.status not in _GONE]
        return compare(self._endpoints, listed, responses, provider=self.name)

    @cached_property
    def _endpoints(self) -> Mapping[str, KnownModel]:
        return known_models(self, endpoint_of)

    def _page(self, response: HttpResponse, endpoint: str) -> ListedModel:
        page = parse_page(response.body.decode(errors="replace"), endpoint=endpoint) if response.is_success else None
        if page is None:
            envelope, _, _ = self._envelope(response)
            raise self._error(response, envelope, None, "A page of an endpoint describes no parameters")
        return page

    def parse_envelope(self, document: Json) -> Envelope:
        return parse_queue_envelope(document)

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        return parse_queue_record(as_queue_envelope(envelope), response, provider=self.name)

    def _path(self, prediction: Prediction, action: str = "") -> str:
        """Return the path of a prediction's request; a model that is missing from the table is an endpoint."""
        spec, endpoint = self.find_model(prediction.model), prediction.model
        if spec is None and "/" not in endpoint:
            allowed = "must be a model or an endpoint of fal, to find its requests"
            raise InputError.of("Unknown model", [InputFault("model", endpoint, allowed)], provider=self.name)
        return queue_path(spec.wire_name if spec else endpoint, prediction.id, action)

    def _is_unchanged(self, prediction: Prediction, envelope: Envelope) -> bool:
        # As in other adapters, but for the date: no response of fal has one.
        word = prediction.native_status
        known = self.statuses.get(word.strip().lower(), Status.RUNNING)
        return envelope.record.get("status") == word and prediction.status is known and not known.is_terminal

    def _envelope(self, response: HttpResponse) -> tuple[QueueEnvelope, Json, UnexpectedReply | None]:
        envelope, document, error = super()._envelope(response)
        header = parse_code(response.headers.get("x-fal-error-type")) if response.status >= 400 else None
        return evolve(as_queue_envelope(envelope), code=envelope.code or header), document, error


def _endpoint(spec: ModelSpec, input: Input, scene: Scene) -> str:
    """Return the id of the endpoint of a scene."""
    if spec.canonical == "kling-image-o1":
        return spec.wire_name
    suffix = _SUFFIXES.get(scene, scene.value)
    if scene is Scene.REFERENCE_TO_VIDEO and spec.parameter("video") and isinstance(input, VideoInput):
        suffix = "video-to-video/reference" if input.all_videos else suffix
    return f"{spec.wire_name}/{suffix}"


def _adapt_video(body: dict[str, Json], spec: ModelSpec, input: VideoInput, scene: Scene) -> None:
    """Adapt a body, built from the fields of an input, to the endpoint of its scene."""
    as_number = spec.wire_name in _NUMBERS
    if "duration" in body and not as_number:
        body["duration"] = str(input.duration)
    if input.shots:
        body["multi_prompt"] = [
            {"prompt": shot.prompt, "duration": shot.duration if as_number else str(shot.duration)}
            for shot in input.shots
        ]
    if not input.prompt.strip():
        del body["prompt"]  # exclusive with shots, and optional for motion control
    if scene is Scene.MOTION_CONTROL or (scene is Scene.IMAGE_TO_VIDEO and spec.wire_name in _IMAGE_URL):
        body["image_url"] = body.pop("start_image_url")
    if scene is Scene.MOTION_CONTROL:
        body.setdefault("character_orientation", "video")
    if scene is Scene.VIDEO_EDIT and "video_urls" in body:
        (body["video_url"],) = cast("list[Json]", body.pop("video_urls"))
    if not input.all_videos:
        body.pop("keep_audio", None)  # there is no video whose sound to keep

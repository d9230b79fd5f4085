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
from ..types.errors import BadRequest, InputError, InputFault, UnexpectedReply
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene
from ..types.limits import LimitKind, Limits
from ..types.media_headers import MediaKind
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Fact, Source
from .authorizers import JwtAuthorizer
from .base import Provider
from .codec.envelope import Envelope, Record
from .codec.errors import ErrorRules
from .codec.fields import as_list, as_object
from .codec.kling_legacy import (
    add_legacy_client_id,
    build_legacy_poll,
    parse_client_id,
    parse_legacy_envelope,
)
from .codec.kling_tasks import add_client_id, build_tasks_lookup, build_tasks_poll, parse_any_task, split_tasks
from .codec.statuses import COMMON_STATUSES
from .codec.strict_json import json_body
from .kling_bodies import build_kling_body, is_omni
from .kling_facts import CAPABILITIES, ERRORS, PACKAGE, PROBABLY_REJECTED, REJECTED
from .kling_legacy_models import LEGACY_PATHS
from .kling_models import MODELS
from .spec import ModelSpec
from .validation import infer_scene
from .webhooks import with_fields

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
    webhook_env: ClassVar[str] = "KLING_WEBHOOK_SECRET"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        OutputKind.IMAGE: "kling-image-o1",
        OutputKind.VIDEO: "kling-o1-std",
    }
    limits: ClassVar[Limits] = Limits(max_open=10)
    limit_sources: ClassVar[Mapping[LimitKind, Source]] = {LimitKind.SLOTS: PACKAGE}
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
        return REJECTED if seen and not is_omni(spec) else PROBABLY_REJECTED

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        if spec.name in LEGACY_PATHS:
            path = LEGACY_PATHS[spec.name][scene]
        else:
            path = f"/{'omni-video' if is_omni(spec) else scene}/{spec.wire_name}"
        return HttpRequest(method="POST", path=path, body=json_body(build_kling_body(spec, input, scene)))

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        paths = _legacy_paths(prediction)
        return build_legacy_poll(paths[0], prediction.id) if paths else build_tasks_poll([prediction.id])

    def may_share_poll(self, prediction: Prediction) -> bool:
        return not _legacy_paths(prediction)

    def build_shared_poll(self, predictions: Sequence[Prediction]) -> HttpRequest:
        return build_tasks_poll(one.id for one in predictions)

    def split_shared_poll(self, document: Json) -> Mapping[str, Json]:
        return split_tasks(document)

    def build_result(self, prediction: Prediction, response: HttpResponse) -> HttpRequest | None:
        paths = _legacy_paths(prediction)
        # A prediction names its model and not its endpoint; where a model has two, the second is asked, too.
        if len(paths) < 2 or self._envelope(response)[0].code not in _NOT_FOUND:
            return None
        return build_legacy_poll(paths[1], prediction.id)

    def parse_submit(self, response: HttpResponse, *, input: Input, key: str | None) -> Prediction:
        try:
            return super().parse_submit(response, input=input, key=key)
        except BadRequest as error:
            if error.code != "1201" or not _TAKEN.search(error.message.lower()):
                raise
            # Each client id is fresh: whatever has it is this submission, which something on the way sent twice.
            message = (
                "Kling has a task of this external_task_id: the submission arrived before, and its answer was lost"
            )
            raise self._lost(message, response, key=key, code=error.code) from None

    def add_client_id(self, request: HttpRequest, client_id: str) -> HttpRequest:
        add = add_legacy_client_id if request.path.startswith("/v1/") else add_client_id
        return evolve(request, body=json_body(add(as_object(json.loads(request.body)), client_id)))

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        if request.path.startswith("/v1/"):
            return with_fields(request, callback_url=url)
        options: Json = json.loads(request.body).get("options")
        return with_fields(request, options={**as_object(options), "callback_url": url})

    def build_lookup(self, input: Input, client_id: str) -> HttpRequest | None:
        spec = self.spec(input)
        if spec.name not in LEGACY_PATHS:
            return build_tasks_lookup(client_id)
        scene = infer_scene(spec, input) or spec.scenes[0]
        return build_legacy_poll(LEGACY_PATHS[spec.name][scene], quote(client_id, safe=""))

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
        if len(as_list(data)) > 1 or (parse_client_id(envelope.record) or client_id) != client_id:
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
        return parse_any_task(envelope, response, provider=self.name)


def _legacy_paths(prediction: Prediction) -> list[str]:
    """Return the paths where a prediction may be, without repeats; none on the new standard."""
    spec = Kling.models.get(prediction.model)
    return list(dict.fromkeys(LEGACY_PATHS.get(spec.name, {}).values())) if spec else []

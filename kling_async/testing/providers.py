"""A conformance suite for providers: those of this package, and an adapter of your own.

Each test is a method that pytest finds in a subclass. It knows nothing of the provider's wire format: it holds what is
true of every provider, whatever its documents say. Recorded responses, and what each of them means, need tests of the
adapter's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from attrs import evolve

from ..providers import Provider
from ..providers.spec import ModelSpec
from ..providers.validation import infer_scene
from ..types.errors import (
    AnswerLost,
    AuthenticationError,
    InputError,
    KlingError,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import ImageInput, Input, Shot, VideoInput
from ..types.prediction import OutputKind, Prediction, Status
from .least_inputs import AUDIO, IMAGE, OTHER_IMAGE, VIDEO, least_input, scenes_of
from .random_responses import random_responses
from .webhook_suite import WebhookSuite

__all__ = ["ProviderSuite"]

_KEY: Final = "secret-api-key"
_DOCUMENTS: Final = 300
"""Random responses that each test of responses reads."""

_CHANGES: Final[tuple[dict[str, object], ...]] = (
    {"prompt": "another prompt"},
    {"aspect_ratio": "9:16"},
    {"aspect_ratio": "1:1"},
    {"images": (OTHER_IMAGE,)},
    {"images": (IMAGE, OTHER_IMAGE)},
    {"extra": {"field_of_the_user": 1}},
    {"n": 2},
    *(dict[str, object](resolution=one) for one in ("2k", "4k", "1080p")),
    {"multi_shot": True},
    {"image": OTHER_IMAGE},
    {"last_image": OTHER_IMAGE},
    {"keyframes": (OTHER_IMAGE,)},
    {"keyframes": (OTHER_IMAGE, IMAGE)},
    {"video": f"{VIDEO}?other"},
    {"videos": (VIDEO, f"{VIDEO}?other"), "video": None},
    {"audios": (AUDIO,)},
    *(dict[str, object](duration=one) for one in (10, 7)),
    {"shots": (Shot("one", 2), Shot("two", 3))},
    {"shots": (Shot("two", 3), Shot("one", 2))},
    {"sound": True},
    {"sound": False},
    {"negative_prompt": "rain"},
    {"keep_original_sound": False},
)
"""Changes to an input. A provider takes one of them, and then its request differs, or refuses it."""


class ProviderSuite(WebhookSuite):
    """Tests of an adapter. Subclass it under a name that pytest finds, with a fixture `provider` that returns it."""

    def test_the_least_of_each_scene_is_built(self, provider: Provider) -> None:
        """The least that a scene needs passes the check, leads to that scene, and makes a request of JSON."""
        for spec, scene in scenes_of(provider):
            input = least_input(spec, scene)
            provider.check(input)
            assert scene is infer_scene(spec, input)
            request = provider.build_submit(input)
            assert request.method == "POST"
            _check_request(request)
            assert isinstance(json.loads(request.body), dict)

    def test_a_model_is_found_by_each_of_its_names(self, provider: Provider) -> None:
        """The canonical name of a model and the provider's own lead to the same request."""
        for spec in provider.models.values():
            assert provider.find_model(spec.name) is spec
            found = provider.find_model(spec.canonical)
            assert found is not None
            assert found.canonical == spec.canonical

    def test_nothing_is_dropped(self, provider: Provider) -> None:
        """A field that passes the check changes the request; one that would be lost is an InputError."""
        for spec, scene in scenes_of(provider):
            least = least_input(spec, scene)
            before = provider.build_submit(least)
            for change in _changes(least):
                changed = evolve(least, **change)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                if changed == least or _is_refused(provider, changed) or _is_default(spec, change):
                    continue
                assert before != provider.build_submit(changed), f"{spec.name}, {scene}: {change} is dropped"

    def test_a_default_model_is_one_of_its_models(self, provider: Provider) -> None:
        """An input without a model gets a model of its kind, or an InputError where there is none."""
        for kind, input in ((OutputKind.IMAGE, ImageInput("a cat")), (OutputKind.VIDEO, VideoInput("a dog"))):
            if kind in provider.default_models:
                spec = provider.find_model(provider.resolve(input).model or "")
                assert spec is not None
                assert spec.kind is kind
            else:
                assert _is_refused(provider, input)

    def test_a_poll_names_the_prediction(self, provider: Provider) -> None:
        """Requests about a prediction have its id in the path or in the query, as it is, and no body."""
        for spec in provider.models.values():
            prediction = _prediction(provider, spec)
            for request in filter(None, (provider.build_poll(prediction), provider.build_cancel(prediction))):
                _check_request(request)
                assert re.search(rf"[/=]{re.escape(prediction.id)}(?![\w.-])", request.path)
            assert provider.build_poll(prediction).method == "GET"
            assert (provider.build_cancel(prediction) is not None) is (provider.capabilities.cancel.value is True)

    def test_a_client_id_is_sent_where_it_has_an_effect(self, provider: Provider) -> None:
        """Where a repeat is not billed again, a submission has the caller's id; where it is rejected, a look-up too."""
        for spec, scene in scenes_of(provider):
            input = least_input(spec, scene)
            request, effect = provider.build_submit(input), provider.repeat(input).value
            with_id, lookup = provider.add_client_id(request, "id-1"), provider.build_lookup(input, "id-1")
            assert ("id-1" in f"{with_id}") is (effect in ("rejected", "replayed"))
            assert (lookup is not None and "id-1" in lookup.path) is (effect == "rejected")

    def test_any_response_to_a_submission(self, provider: Provider) -> None:
        """Any response is a prediction with a safe id, or an error; one that may have started is never a plain one."""
        spec = next(iter(provider.models.values()))
        input = least_input(spec, spec.scenes[0])
        for response in random_responses(provider, seed=1, number=_DOCUMENTS):
            found = _parsed(lambda: provider.parse_submit(response, input=input, key="cat"))  # noqa: B023
            if isinstance(found, Prediction):
                assert response.status // 100 == 2
                assert (provider.name, "cat", spec.name) == (found.provider, found.key, found.model)
                assert found.id.isascii()
                assert "/" not in found.id
                _check_prediction(found)
            else:
                assert isinstance(found, (Refused, UnexpectedReply, AnswerLost))
                assert found.provider == provider.name

    def test_any_response_to_a_poll(self, provider: Provider) -> None:
        """Any response is the same prediction, or an error that says nothing about its end."""
        for spec in provider.models.values():
            known = _prediction(provider, spec)
            for response in random_responses(provider, seed=2, number=_DOCUMENTS // len(provider.models) + 10):
                provider.build_result(known, response)
                found = _parsed(lambda: provider.parse_poll(response, prediction=known))  # noqa: B023
                if isinstance(found, Prediction):
                    assert (known.id, known.key, known.model) == (found.id, found.key, found.model)
                    _check_prediction(found)
                else:
                    assert isinstance(found, (Refused, UnexpectedReply))

    def test_any_response_to_a_shared_poll(self, provider: Provider) -> None:
        """Where polls are shared, any response is one result for each prediction, or an error about all of them."""
        number = provider.capabilities.batch_poll.value or 1
        for spec in provider.models.values():
            known = [evolve(_prediction(provider, spec), id=id) for id in ("an-id", "id", "x")]
            shared = all(map(provider.may_share_poll, known))
            assert not shared or number > 1
            if shared:
                _check_request(provider.build_shared_poll(known[:number]))
            for response in random_responses(provider, seed=3, number=_DOCUMENTS if shared else 0):
                _check_shared(known, lambda: provider.parse_shared_poll(response, predictions=known))  # noqa: B023

    def test_the_statuses_of_http_keep_their_meaning(self, provider: Provider) -> None:
        """401 is the key's fault and 429 asks to wait, whatever the body; neither has an id."""
        spec = next(iter(provider.models.values()))
        input = least_input(spec, spec.scenes[0])
        for status, kind in ((401, AuthenticationError), (429, RateLimited)):
            for body in (b"", b"{}", b"<html>"):
                response = HttpResponse(status=status, headers={"Retry-After": "7"}, body=body)
                found = _parsed(lambda: provider.parse_submit(response, input=input, key=None))  # noqa: B023
                assert type(found) is kind
                assert found.retry_after == 7.0

    def test_the_key_is_in_the_header_only(self, provider: Provider) -> None:
        """Each scheme puts the key into the Authorization header, and no text shows it."""
        for scheme in provider.schemes:
            authorizer = provider.authorizer(_KEY, scheme=scheme)
            name, value = authorizer.header(1_800_000_000.0)
            assert name == "Authorization"
            assert value.isascii()
            assert _KEY not in repr(authorizer)

    def test_every_fact_has_a_source(self, provider: Provider) -> None:
        """Models, parameters, rules, prices and capabilities say where they were read."""
        sources = [fact.source for _, fact in provider.capabilities]
        for spec in provider.models.values():
            sources.append(spec.source)
            sources += [parameter.source for parameter in spec.parameters]
            sources += [price.source for price in spec.prices]
            sources += [rule.source for rule in spec.cross_field_rules]
        assert [source for source in sources if not source.where.strip()] == []


def _changes(input: Input) -> Iterator[dict[str, object]]:
    for change in _CHANGES:
        if "keep_original_sound" in change and not (isinstance(input, VideoInput) and input.all_videos):
            continue  # there is no sound to keep
        if all(hasattr(input, name) for name in change):
            yield change


def _is_refused(provider: Provider, input: Input) -> bool:
    try:
        provider.check(input)
    except InputError:
        return True
    return False


def _is_default(spec: ModelSpec, change: dict[str, object]) -> bool:
    """Return whether a change only spells out the provider's default, which a request may leave out."""
    return all(
        (parameter := spec.parameter(name)) is not None and parameter.default == value for name, value in change.items()
    )


def _prediction(provider: Provider, spec: ModelSpec) -> Prediction:
    return Prediction(
        provider=provider.name, model=spec.name, id="an-id_1.x", key="cat", status=Status.RUNNING, native_status="x"
    )


def _check_request(request: HttpRequest) -> None:
    assert re.match(r"/(?!/)", request.path)
    assert request.path.isascii()
    assert request.path.isprintable()
    assert " " not in request.path
    names = [name.lower() for name, _ in request.headers]
    assert not {"authorization", "host", "content-length"} & set(names)


def _check_prediction(prediction: Prediction) -> None:
    assert (prediction.status is Status.SUCCEEDED) == bool(prediction.outputs)
    assert (prediction.failure is None) == (prediction.status is Status.SUCCEEDED or not prediction.status.is_terminal)
    assert all(output.url.startswith(("https://", "http://", "data:")) for output in prediction.outputs)


def _check_shared(known: list[Prediction], parse: Callable[[], list[Prediction | KlingError]]) -> None:
    try:
        results = parse()
    except (Refused, UnexpectedReply):
        return
    for before, after in zip(known, results, strict=True):
        if isinstance(after, Prediction):
            assert (before.id, before.key, before.model) == (after.id, after.key, after.model)
            _check_prediction(after)
        else:
            assert isinstance(after, (Refused, UnexpectedReply))


def _parsed(parse: Callable[[], Prediction]) -> Prediction | KlingError:
    try:
        return parse()
    except KlingError as error:
        return error

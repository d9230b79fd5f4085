"""The tables of models: complete, with sources, and each entry of use."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import product
from operator import attrgetter
from typing import Any, ClassVar

import pytest
from attrs import evolve

from kling_async.errors import InputError
from kling_async.providers import (
    DEFAULT_PROVIDER,
    PROVIDERS,
    Certainty,
    ModelSpec,
    Price,
    Provider,
    Source,
    provider_named,
)
from kling_async.providers.apiinone import APIInOne
from kling_async.providers.validation import infer_scene
from kling_async.types.inputs import ImageInput, Input, Scene, VideoInput
from kling_async.types.prediction import OutputKind

A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"

MINIMAL: dict[Scene, Input] = {
    Scene.TEXT_TO_IMAGE: ImageInput("a cat"),
    Scene.IMAGE_TO_IMAGE: ImageInput("a cat", images=(A,)),
    Scene.MULTI_SHOT: ImageInput("a cat", images=(A,), multi_shot=True),
    Scene.TEXT_TO_VIDEO: VideoInput("a dog"),
    Scene.IMAGE_TO_VIDEO: VideoInput("a dog", image=A),
    Scene.START_END_FRAME: VideoInput("a dog", image=A, last_image=B),
    Scene.REFERENCE_TO_VIDEO: VideoInput("a dog", images=(A,)),
    Scene.VIDEO_TO_VIDEO: VideoInput("a dog", video=C),
    Scene.MOTION_CONTROL: VideoInput("a dog", image=A, video=C),
    # A video alone could be one to refer to as well: these two are named.
    Scene.VIDEO_EDIT: VideoInput("a dog", video=C, scene="video-edit"),
    Scene.VIDEO_EXTEND: VideoInput("a dog", video=C, scene="video-extend"),
}
"""The least that each scene needs: its fields alone, from which the scene must follow, but for the last two."""

MODELS = [(provider, spec) for provider in PROVIDERS.values() for spec in provider.models.values()]
CANONICAL = re.compile(
    r"kling-(image-(o1|o3|2\.1|3\.0|4\.0)|o1-(std|pro)|3|4\.0(-flash)?|[234]\.[0-9](-turbo|-omni)?-(std|pro|4k|master))"
)
OWN = {f"kling-{name}" for name in ("o1", "2.5-turbo", "2.6", "3.0", "3.0-omni", "3.0-turbo")}
"""Kling's own names of its models, of which the resolution makes the tier."""
SCENES = [(provider, spec, scene) for provider, spec in MODELS for scene in spec.scenes]


def minimal(spec: ModelSpec, scene: Scene, name: str | None = None) -> Input:
    """Return the least for a scene of a model, by a name of it; a model that has no 1k needs a resolution as well."""
    least, size = evolve(MINIMAL[scene], model=name or spec.name), spec.parameter("resolution")
    if isinstance(least, ImageInput) and size is not None and not size.rule.allows(least.resolution):
        return evolve(least, resolution="2k")
    return least


def parameters(body: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters in a body, which Kling's new standard sorts into parts."""
    if "settings" not in body:
        return body
    [prompt] = [one["text"] for one in body.get("contents", ()) if one["type"] == "prompt"] or [body.get("prompt")]
    return {"prompt": prompt, **body["settings"]}


every_model = pytest.mark.parametrize(("provider", "spec"), MODELS, ids=[f"{p.name} {s.name}" for p, s in MODELS])
every_scene = pytest.mark.parametrize(
    ("provider", "spec", "scene"), SCENES, ids=[f"{p.name} {s.name} {scene}" for p, s, scene in SCENES]
)


@every_scene
def test_every_scene_is_reached_and_built(provider: Provider, spec: ModelSpec, scene: Scene) -> None:
    """The least that a scene needs passes the check, leads to that scene, and makes a request with the prompt."""
    input = minimal(spec, scene)
    provider.check(input)
    assert scene is infer_scene(spec, input)
    request = provider.build_submit(input)
    assert "POST" == request.method
    body = json.loads(request.body)
    body = parameters(body.get("input", body))
    assert input.prompt == body["prompt"]
    assert spec.wire_name in request.path + request.body.decode()
    assert spec.fixed == {name: body[name] for name in spec.fixed}


@every_scene
def test_a_video_scene_can_be_named(provider: Provider, spec: ModelSpec, scene: Scene) -> None:
    """Naming the scene that follows from the fields anyway changes nothing."""
    input = minimal(spec, scene)
    named = evolve(input, scene=scene.value) if isinstance(input, VideoInput) else input
    provider.check(named)
    assert provider.build_submit(input) == provider.build_submit(named)


@every_model
def test_every_fact_has_a_source(provider: Provider, spec: ModelSpec) -> None:
    """A model, its parameters, its rules and its prices each say where they were read."""
    sources = [spec.source, *(one.source for one in (*spec.parameters, *spec.cross_field_rules, *spec.prices))]
    assert [] == [source for source in sources if not source.where.strip()]


@every_model
def test_nothing_is_surer_than_its_model(provider: Provider, spec: ModelSpec) -> None:
    """What is known of a model whose own page was not seen is nowhere called documented."""
    documented = [one.name for one in spec.parameters if one.source.certainty is Certainty.DOCUMENTED]
    assert bool(documented) == (spec.source.certainty is Certainty.DOCUMENTED)


@every_model
def test_every_default_is_allowed(provider: Provider, spec: ModelSpec) -> None:
    """What a provider takes when a parameter is left out is allowed by the parameter's own rules, in each scene."""
    defaults = [(one, scene) for one, scene in product(spec.parameters, spec.scenes) if one.default is not None]
    assert [] == [(one.name, scene) for one, scene in defaults if not one.rule_for(scene).allows(one.default)]


@every_model
def test_parameters_are_fields_or_extra(provider: Provider, spec: ModelSpec) -> None:
    """A parameter is a field of the input, or is marked as one inside extra; none comes twice."""
    input = ImageInput if spec.kind is OutputKind.IMAGE else VideoInput
    names = [one.name for one in spec.parameters]
    assert [] == [one.name for one in spec.parameters if one.extra == hasattr(input("a cat"), one.name)]
    assert sorted(set(names)) == sorted(names)
    assert sorted({one.wire_name for one in spec.parameters}) == sorted(one.wire_name for one in spec.parameters)


@every_model
def test_every_rule_can_be_read_out(provider: Provider, spec: ModelSpec) -> None:
    """A rule has a text for the tables of the command line and of the docs."""
    rules = [rule for one in spec.parameters for rule in (one.rule, *one.per_scene.values())]
    assert [] == [rule for rule in rules if str(rule) == repr(rule) or not str(rule)]


@every_model
def test_a_model_has_only_scenes_of_its_kind(provider: Provider, spec: ModelSpec) -> None:
    """An image model makes no video, and has at least one scene."""
    kinds = {ImageInput: OutputKind.IMAGE, VideoInput: OutputKind.VIDEO}
    assert {spec.kind} == {kinds[type(MINIMAL[scene])] for scene in spec.scenes}


def test_prices_are_ranges_in_order() -> None:
    """No price is negative or upside down."""
    prices = [price for _, spec in MODELS for price in spec.prices]
    assert [True] * len(prices) == [0 < price.low <= price.high for price in prices]
    assert prices


def test_a_parameter_is_found_by_its_name() -> None:
    """A model gives its parameter of a name, or None."""
    spec = PROVIDERS["gptproto"].models["kling-image-o1"]
    found = spec.parameter("n")
    assert found is not None
    assert "n" == found.name
    assert spec.parameter("no such") is None


KINDS = [
    (provider, kind)
    for provider in PROVIDERS.values()
    for kind in (OutputKind.IMAGE, OutputKind.VIDEO)
    if kind in {spec.kind for spec in provider.models.values()}
]


@pytest.mark.parametrize(("provider", "kind"), KINDS, ids=[f"{kind}-{provider.name}" for provider, kind in KINDS])
def test_a_default_model_makes_its_kind(provider: Provider, kind: OutputKind) -> None:
    """An input that names no model gets one of the provider's own, of the kind that it asks for, if there is one."""
    if kind in {spec.kind for spec in provider.models.values()}:
        assert kind is provider.models[provider.default_model(kind)].kind
        return
    with pytest.raises(InputError, match=f"{provider.title} has no {kind} model"):
        provider.default_model(kind)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_a_kind_without_models_has_no_default(provider: Provider) -> None:
    """A provider has a default for the kinds that it has models of, and for no other."""
    assert {spec.kind for spec in provider.models.values()} == set(provider.default_models)


def test_default_models() -> None:
    """The default model of each provider and kind, one by one."""
    kinds = (OutputKind.IMAGE, OutputKind.VIDEO)
    defaults = {name: tuple(map(provider.default_models.get, kinds)) for name, provider in PROVIDERS.items()}
    assert {
        "gptproto": ("kling-image-o1", "kling-video-o1-std"),
        "apiinone": ("kling-image-o1", "kling-3"),
        "wavespeed": ("kling-image-o1", "kling-video-o1-std"),
        "fal": ("fal-ai/kling-image/o3", "fal-ai/kling-video/o3/standard"),
        "replicate": (None, "kling-o1-std"),
        "openrouter": (None, "kwaivgi/kling-v3.0-std"),
        "comfy": ("kling/kling-image-o1", "kling-o1-std"),
        "kling": ("kling-image-o1", "kling-o1-std"),
        "atlascloud": (None, "kling-v3.0-std"),
    } == defaults
    for (name, provider), kind in product(PROVIDERS.items(), kinds):
        if (model := defaults[name][kinds.index(kind)]) is not None:
            assert model == provider.default_model(kind)


def test_a_kind_without_a_model_is_named() -> None:
    """Where no model makes that kind the error says so, with the models that there are."""

    class ImagesOnly(APIInOne):
        default_models: ClassVar[Mapping[OutputKind, str]] = {OutputKind.IMAGE: "kling-image-o1"}

    with pytest.raises(InputError, match="API in One has no video model; it has kling-image-o1, kling-3"):
        ImagesOnly().default_model(OutputKind.VIDEO)


def test_the_default_provider_exists() -> None:
    """The provider of jobs that name none is one of the registry."""
    assert DEFAULT_PROVIDER in PROVIDERS


def test_a_provider_is_found_by_its_name() -> None:
    """Each provider is known by its own name."""
    names = {"gptproto", "apiinone", "wavespeed", "fal", "replicate", "openrouter", "comfy", "kling", "atlascloud"}
    assert names == set(PROVIDERS)
    assert list(PROVIDERS.values()) == [provider_named(name) for name in PROVIDERS]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gptprot", "; did you mean gptproto?"),
        ("APIinOne", "; did you mean apiinone?"),
        ("wavespeedai", "; did you mean wavespeed?"),
        ("FAL", "; did you mean fal?"),
        ("sora", ""),
        ("", ""),
    ],
)
def test_an_unknown_provider_is_refused(name: str, hint: str) -> None:
    """An unknown provider is named, with those that exist, and the one that was probably meant."""
    with pytest.raises(InputError) as caught:
        provider_named(name)
    assert [("provider", name, f"must be one of {', '.join(PROVIDERS)}{hint}")] == list(caught.value.faults)


def test_a_provider_that_is_no_text_is_refused() -> None:
    """Something else than a name is named as the fault, too."""
    with pytest.raises(InputError, match="provider=5"):
        provider_named(5)  # type: ignore[arg-type]


@every_model
def test_a_model_is_found_by_both_of_its_names(provider: Provider, spec: ModelSpec) -> None:
    """Kling's own name, the same everywhere, and the provider's lead to the same model and to the same request."""
    assert spec is provider.find_model(spec.name)
    assert spec is provider.find_model(spec.canonical)
    assert CANONICAL.fullmatch(spec.canonical) or (provider.name, spec.canonical in OWN) == ("kling", True)
    inputs = [minimal(spec, spec.scenes[0], name) for name in (spec.name, spec.canonical)]
    assert 1 == len({provider.build_submit(input) for input in inputs})


def test_one_idea_runs_at_each_provider() -> None:
    """An input with a canonical name needs no other words for another provider."""
    input = VideoInput("a dog", model="kling-3.0-pro", image=A, duration=7, sound=False)
    gptproto, apiinone, wavespeed, fal, replicate = (
        PROVIDERS[name].build_submit(input) for name in ("gptproto", "apiinone", "wavespeed", "fal", "replicate")
    )
    assert "/api/v3/kwaivgi/kling-v3.0-pro/image-to-video" == gptproto.path == wavespeed.path
    body = json.loads(apiinone.body)
    assert ("kling-3", "pro", False, 7) == (body["model"], body["mode"], body["sound"], body["duration"])
    assert "/fal-ai/kling-video/v3/pro/image-to-video" == fal.path
    assert {"prompt": "a dog", "start_image_url": A, "duration": "7", "generate_audio": False} == json.loads(fal.body)
    assert "/v1/models/kwaivgi/kling-v3-video/predictions" == replicate.path
    body = json.loads(replicate.body)["input"]
    assert (A, "pro", False, 7) == (body["start_image"], body["mode"], body["generate_audio"], body["duration"])
    kling = PROVIDERS["kling"].build_submit(input)
    assert "/image-to-video/kling-3.0" == kling.path
    assert {"resolution": "1080p", "audio": "off", "duration": 7} == json.loads(kling.body)["settings"]


def test_a_price_by_the_second_is_that_of_the_whole_video() -> None:
    """A price may be published per submission, per second of video or per image."""
    source = Source(Certainty.DOCUMENTED, "a page")
    second = Price(low=Decimal("0.084"), high=Decimal("0.112"), per="second", source=source)
    image = Price(low=Decimal("0.028"), high=Decimal("0.028"), per="image", source=source)
    assert (Decimal("0.840"), Decimal("1.120")) == attrgetter("low", "high")(second.of(VideoInput("a", duration=10)))
    assert Decimal("0.112") == image.of(ImageInput("a", n=4)).high
    whole = second.of(VideoInput("a"))
    assert whole is whole.of(VideoInput("a", duration=10))

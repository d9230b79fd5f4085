"""The provider of a client that names none: by its keys, else by those in the environment."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kling_async import Client, ImageInput, InputError, MissingAPIKey, VideoInput
from kling_async.providers import PROVIDERS
from kling_async.runtime.api_keys import ApiKeys, default_provider
from kling_async.testing import Sandbox, SandboxApp, VirtualClock

from ..conftest import ORIGIN

KEY = "sk-canary-7f3a9b"

CASES: dict[str, tuple[list[str], list[str], str]] = {
    "no key": ([], [], "gptproto"),
    "the only one passed in": (["kling"], [], "kling"),
    "the only one in the environment": ([], ["FAL_KEY"], "fal"),
    "a pair in the environment": ([], ["KLING_ACCESS_KEY", "KLING_SECRET_KEY"], "kling"),
    "half a pair": ([], ["KLING_ACCESS_KEY"], "gptproto"),
    "several passed in, the usual one among them": (["kling", "gptproto"], [], "gptproto"),
    "several in the environment, the usual one among them": ([], ["FAL_KEY", "GPTPROTO_API_KEY"], "gptproto"),
    "what is passed in goes before the environment": (["kling"], ["GPTPROTO_API_KEY", "FAL_KEY"], "kling"),
}
"""Names of the keys passed in, variables that are set, and the provider that follows."""


@pytest.mark.parametrize(("given", "variables", "expected"), CASES.values(), ids=CASES.keys())
def test_the_only_provider_with_a_key_is_the_default(
    given: list[str], variables: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys passed in decide alone, then the environment; of several GPTProto, and without any GPTProto."""
    for name in variables:
        monkeypatch.setenv(name, KEY)
    assert expected == default_provider(ApiKeys(dict.fromkeys(given, KEY)))


@pytest.mark.parametrize("in_environment", [False, True])
def test_several_without_the_usual_one_are_refused(in_environment: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names those with a key, says how to choose, and shows no key; named, one of them is taken."""
    keys = {"kling": KEY, "fal": KEY}
    if in_environment:
        keys = {}
        monkeypatch.setenv("KLING_API_KEY", KEY)
        monkeypatch.setenv("FAL_KEY", KEY)
    with pytest.raises(InputError) as caught:
        Client(api_keys=keys)
    text = str(caught.value)
    assert "kling" in text
    assert "fal" in text
    assert "provider=" in text
    assert "--provider" in text
    assert KEY not in text
    assert Client("fal", api_keys=keys).estimate([VideoInput("a dog")]).priced


@pytest.mark.anyio
@pytest.mark.parametrize("name", PROVIDERS)
async def test_jobs_go_to_the_only_provider_with_a_key(name: str) -> None:
    """`api_keys` with one key needs no `provider`, and a bare `base_url` belongs to that provider, too."""
    sandbox, inputs = Sandbox(strict=True), {"image": ImageInput("a cat"), "video": VideoInput("a dog")}
    async with (
        VirtualClock() as clock,
        Client(
            api_keys={name: sandbox.key_for(name)},
            base_url=ORIGIN,
            transport=httpx.ASGITransport(SandboxApp(sandbox, clock)),
            clock=clock,
        ) as client,
    ):
        prediction = await client.generate(inputs[min(PROVIDERS[name].default_models)])
    assert (name, 1) == (prediction.provider, sandbox.submits)


@pytest.mark.anyio
@pytest.mark.parametrize("settings", [{"base_url": ORIGIN}, {"api_key": ""}], ids=["base_url", "api_key"])
async def test_the_environment_decides_no_provider_for_a_key_or_an_origin(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `api_key` or `base_url` alone the provider is GPTProto: no other one's key reaches that origin."""
    monkeypatch.setenv("KLING_API_KEY", KEY)
    with pytest.raises(MissingAPIKey, match="GPTPROTO_API_KEY"):
        await Client(**settings).open()

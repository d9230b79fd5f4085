"""The choice of providers for a job, and the nearest model for one that none of them takes."""

from __future__ import annotations

import pytest

from kling_async import ImageInput, Input, Job, VideoInput
from kling_async.errors import InputError
from kling_async.providers import PROVIDERS
from kling_async.providers.selection import accepting, nearest

A = "https://x.test/a.png"
GPTPROTO, APIINONE = PROVIDERS["gptproto"], PROVIDERS["apiinone"]


def test_every_provider_that_takes_a_job_is_found() -> None:
    """Without a provider of its own a job may go to each of those given; with one, to that one only."""
    job = Job(VideoInput("a dog", model="kling-3.0-pro"))
    assert [GPTPROTO, APIINONE] == accepting(job, [GPTPROTO, APIINONE])
    assert [APIINONE] == accepting(Job(job.input, provider="apiinone"), [GPTPROTO])


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        (VideoInput("a dog", model="kling-3.0-pro", shots=()), "kling-3.0-pro at gptproto takes it."),
        (VideoInput("a dog", model="kling-2.6-pro"), "kling-2.6-pro at gptproto takes it."),
        (VideoInput("a dog", model="kling-v2.6-pro"), "kling-2.6-pro at gptproto takes it."),
    ],
)
def test_the_same_model_elsewhere_is_nearest(input: Input, expected: str) -> None:
    """A model that the provider lacks is named where it can be had."""
    assert expected == nearest(input, [GPTPROTO])


def test_the_error_names_the_nearest_model() -> None:
    """The faults say what is wrong, and the advice which model takes the input as it is."""
    with pytest.raises(InputError) as caught:
        accepting(Job(VideoInput("a dog", model="kling-2.1-std", image=A, last_image=A)), [GPTPROTO])
    assert {"last_image"} <= {fault.field for fault in caught.value.faults}
    assert "Nothing was sent. kling-" in str(caught.value)
    assert " at gptproto takes it." in str(caught.value)


def test_what_no_model_takes_has_no_nearest() -> None:
    """An input that is wrong everywhere gets no advice of the kind."""
    assert "" == nearest(ImageInput("a cat", n=1000), [GPTPROTO, APIINONE])
    with pytest.raises(InputError) as caught:
        accepting(Job(ImageInput("a cat", n=1000)), [GPTPROTO])
    assert str(caught.value).endswith("Nothing was sent.")

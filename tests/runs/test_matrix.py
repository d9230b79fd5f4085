"""Prompt matrices: what is filled in where, which keys come out, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async import ImageInput, InputError, Job, Shot, VideoInput, matrix

VALUES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.integers() | st.booleans(),
    min_size=1,
    max_size=4,
    unique_by=lambda value: value if isinstance(value, str) else str(value).lower(),
)


def test_every_combination_is_a_job() -> None:
    """The values are combined in the order of the axes, the last one fastest, and name the jobs."""
    jobs = matrix(ImageInput("{animal} in {place}"), animal=["cat", "dog"], place=["rain", "snow"])
    assert {
        "cat-rain": "cat in rain",
        "cat-snow": "cat in snow",
        "dog-rain": "dog in rain",
        "dog-snow": "dog in snow",
    } == {str(job.key): job.input.prompt for job in jobs}
    assert ["cat-rain", "cat-snow", "dog-rain", "dog-snow"] == [job.key for job in jobs]


def test_zip_pairs_values() -> None:
    """With `zip` the first values belong together, and so on; a value may come again."""
    jobs = matrix(ImageInput("{a} {b}"), zip=True, a=["x", "x"], b=["1", "2"])
    assert [("x-1", "x 1"), ("x-2", "x 2")] == [(job.key, job.input.prompt) for job in jobs]


def test_a_job_lends_its_key_and_provider() -> None:
    """A template that is a job gives its key as the beginning, and everything else as it is."""
    template = Job(ImageInput("{a}", n=3), key="shoot-7", provider="apiinone")
    assert [Job(ImageInput("cat", n=3), key="shoot-7-cat", provider="apiinone")] == matrix(template, a=["cat"])


def test_labels_place_a_job_in_a_grid() -> None:
    """Beside each job stand its values as texts, by axis."""
    [first, _] = matrix(Job(ImageInput("{who} {size}"), labels={"day": "1"}), who=["Red Fox!"], size=[1.5, 2])
    assert ({"day": "1", "who": "Red Fox!", "size": "1.5"}, "red_fox-1.5") == (first.labels, first.key)


def test_every_text_is_substituted() -> None:
    """Addresses, shots, and texts deep inside `extra` are filled; a lone name in `extra` keeps its type."""
    template = VideoInput(
        "{what}",
        model="{name}",
        image="https://x/{what}.png",
        images=["https://x/{what}/{level}"],
        shots=[Shot("a {what}", 5)],
        extra={"deep": [{"level": "{level}", "told": "at {level}"}], "loud": "{loud}", "left": None},
    )
    [job] = matrix(template, what=["cat"], name=["kling-3"], level=[0.5], loud=[True])
    assert (
        VideoInput(
            "cat",
            model="kling-3",
            image="https://x/cat.png",
            images=["https://x/cat/0.5"],
            shots=[Shot("a cat", 5)],
            extra={"deep": [{"level": 0.5, "told": "at 0.5"}], "loud": True, "left": None},
        )
        == job.input
    )


def test_doubled_braces_are_braces() -> None:
    """`{{` and `}}` are braces, also right around a name; a value's own braces are left alone."""
    [job] = matrix(ImageInput("{{a}} {{{a}}} {a}"), a=["{b}"])
    assert "{a} {{b}} {b}" == job.input.prompt


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no axis": (ImageInput("{a}"), {}, "at least one axis"),
    "unknown": (ImageInput("{anmal}"), {"animal": ["cat"]}, "prompt='{anmal}': is not an axis; did you mean animal?"),
    "unknown, deep": (ImageInput("{a}", extra={"b": ["{c}"]}), {"a": [1]}, "extra.b[0]='{c}': is not an axis"),
    "unknown, in a shot": (VideoInput("{a}", shots=[Shot("{c}", 5)]), {"a": [1]}, "shots[0].prompt='{c}'"),
    "unused": (ImageInput("{a}"), {"a": ["cat"], "b": ["x"]}, "vars.b='b': is not used in any text"),
    "empty": (ImageInput("{a}"), {"a": []}, "vars.a=(): must be a non-empty list"),
    "a text for a list": (ImageInput("{a}"), {"a": "cat"}, "must be a non-empty list"),
    "no list": (ImageInput("{a}"), {"a": 5}, "must be a non-empty list"),
    "no text": (ImageInput("{a}"), {"a": ["cat", None]}, "must be a non-empty list of strings"),
    "twice": (ImageInput("{a}"), {"a": ["cat", "cat"]}, "vars.a='cat': is listed twice"),
    "unequal": (ImageInput("{a}{b}"), {"zip": True, "a": ["x"], "b": ["1", "2"]}, "must have equally many values"),
    "pairs twice": (
        ImageInput("{a}{b}"),
        {"zip": True, "a": ["x", "x"], "b": ["1", "1"]},
        "('x', '1'): is listed twice",
    ),
    "too many": (ImageInput("{a}{b}"), {"a": range(1000), "b": range(1000)}, "make 1,000,000 jobs"),
    "attribute": (ImageInput("{a.__class__}"), {"a": ["x"]}, "is not a {name}"),
    "index": (ImageInput("{a[0]}"), {"a": ["x"]}, "is not a {name}"),
    "conversion": (ImageInput("{a!r}"), {"a": ["x"]}, "is not a {name}"),
    "format": (ImageInput("{a:>9}"), {"a": ["x"]}, "is not a {name}"),
    "position": (ImageInput("{} {0} {a}"), {"a": ["x"]}, "is not a {name}"),
    "open brace": (ImageInput("{a} {"), {"a": ["x"]}, "has a single brace"),
    "closing brace": (ImageInput("{a} }"), {"a": ["x"]}, "has a single brace"),
    "axis with a dash": (ImageInput("{a}"), {"a": ["x"], "a-b": ["x"]}, "vars.a-b='a-b': must be a name"),
    "long prefix": (Job(ImageInput("{a}"), key="k" * 200), {"a": ["x"]}, "1 to 200 printable characters"),
}


@pytest.mark.parametrize(("template", "axes", "message"), WRONG.values(), ids=WRONG)
def test_a_fault_is_named(template: Any, axes: dict[str, Any], message: str) -> None:
    """An invalid matrix is rejected with the place and the reason."""
    with pytest.raises(InputError) as caught:
        matrix(template, **axes)
    assert message in str(caught.value)


def test_all_faults_are_reported_at_once() -> None:
    """One error holds all faults."""
    with pytest.raises(InputError) as caught:
        matrix(ImageInput("{x} {y}"), a=[], b=["1"])
    assert ["vars.a", "prompt", "prompt", "vars.a", "vars.b"] == [fault.field for fault in caught.value.faults]


def test_values_of_one_word_keep_their_keys_when_others_come() -> None:
    """A key follows from its value: adding values at the end changes no key before them."""
    few = matrix(ImageInput("{a}"), a=["red fox", "Red Fox!", "猫", ""])
    more = matrix(ImageInput("{a}"), a=["red fox", "Red Fox!", "猫", "", "RED FOX", "none"])
    assert ["red_fox", "red_fox_bfa7", "猫", "none"] == [job.key for job in few]
    assert few == more[:4]
    assert 6 == len({job.key for job in more})


@given(VALUES, VALUES)
def test_keys_are_unique_whatever_the_values(first: list[Any], second: list[Any]) -> None:
    """No two combinations share a key, and every key is one that a job may have."""
    jobs = matrix(Job(ImageInput("{a}{b}"), key="p" * 100), a=first, b=second)
    assert len(first) * len(second) == len({job.key for job in jobs})


@given(st.lists(st.text(max_size=300), min_size=1, max_size=3, unique=True))
def test_long_values_make_short_keys(values: list[str]) -> None:
    """A key stays below its limit however long the values are, and stays unique."""
    axes: dict[str, Any] = {f"a{number}": values for number in range(5)}
    jobs = matrix(ImageInput("".join(f"{{{name}}}" for name in axes)), zip=True, **axes)
    assert len(values) == len({job.key for job in jobs})


def test_axes_of_a_job_set_its_fields() -> None:
    """Axes named provider and model set these fields, also where the template names neither or has others."""
    jobs = matrix(
        Job(VideoInput("a {animal}", model="kling-4.0"), key="t", provider="kling"),
        animal=["fox"],
        provider=["fal", "wavespeed"],
        model=["kling-3.0-std", "kling-3.0-pro"],
    )
    assert [
        ("t-fox-fal-kling_3.0_std", "fal", "kling-3.0-std"),
        ("t-fox-fal-kling_3.0_pro", "fal", "kling-3.0-pro"),
        ("t-fox-wavespeed-kling_3.0_std", "wavespeed", "kling-3.0-std"),
        ("t-fox-wavespeed-kling_3.0_pro", "wavespeed", "kling-3.0-pro"),
    ] == [(job.key, job.provider, job.input.model) for job in jobs]
    assert {"animal": "fox", "provider": "fal", "model": "kling-3.0-std"} == jobs[0].labels


def test_a_text_in_the_field_stays() -> None:
    """A template that names an axis in the field keeps its text there, and any axis may fill a job's provider."""
    [job] = matrix(VideoInput("a fox", model="kling-{model}"), model=["3.0-std"])
    assert "kling-3.0-std" == job.input.model
    [job] = matrix(Job(ImageInput("a fox"), provider="{where}"), where=["fal"])
    assert ("fal", {"where": "fal"}) == (job.provider, job.labels)


AT_TARGETS: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "an unknown provider": (ImageInput("x"), {"provider": ["fla"]}, ["provider='fla': at fla, must be one of"]),
    "an unknown model": (VideoInput("x"), {"model": ["kling-33"]}, ["model='kling-33': at kling-33, must be one of"]),
    "a model that one lacks": (
        VideoInput("x"),
        {"provider": ["fal", "openrouter"], "model": ["kling-2.6-pro"]},
        ["model='kling-2.6-pro': at openrouter:kling-2.6-pro, must be one of"],
    ),
    "a field that models lack": (
        VideoInput("{a}", duration=12),
        {"a": ["x", "y"], "provider": ["fal", "kling"], "model": ["kling-2.6-pro", "kling-3.0-std"]},
        [
            "duration=12: at fal:kling-2.6-pro, must be one of 5, 10",
            "duration=12: at kling:kling-2.6-pro, must be one of 5, 10",
        ],
    ),
    "the other kind": (ImageInput("x"), {"provider": ["fal"], "model": ["kling-3.0-std"]}, ["at fal:kling-3.0-std"]),
    "a kind that one lacks": (ImageInput("x"), {"provider": ["fal", "replicate"]}, ["model=None: at replicate"]),
    "two names of a model": (
        VideoInput("x"),
        {"provider": ["gptproto"], "model": ["kling-3.0-std", "kling-v3.0-std"]},
        ["vars.model='kling-v3.0-std': is another name of kling-3.0-std"],
    ),
    "a car": (ImageInput("a {model}"), {"model": ["sedan"]}, ["model='sedan': at sedan, must be one of"]),
}


@pytest.mark.parametrize(("template", "axes", "faults"), AT_TARGETS.values(), ids=AT_TARGETS)
def test_faults_at_targets_are_reported_at_once(template: Any, axes: dict[str, Any], faults: list[str]) -> None:
    """What a provider does not take is one fault for each target, with its name, and all are in one error."""
    with pytest.raises(InputError) as caught:
        matrix(template, **axes)
    assert len(faults) == len(caught.value.faults)
    assert all(text in str(fault) for text, fault in zip(faults, caught.value.faults, strict=True))


def test_names_of_one_model_are_one_job_only_with_one_input() -> None:
    """Two names of a model beside different prompts make different jobs, which are no mistake."""
    axes = {"animal": ["fox", "owl"], "model": ["kling-3.0-std", "kling-v3.0-std"]}
    assert 2 == len(matrix(Job(VideoInput("{animal}"), provider="gptproto"), zip=True, **axes))

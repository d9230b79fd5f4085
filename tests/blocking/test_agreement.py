"""The blocking API is the asynchronous one: the same names, parameters, defaults and first sentences."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import kling_async
from kling_async import blocking

PAIRS: Mapping[str, tuple[Any, Any]] = {
    name: (getattr(kling_async, name), getattr(blocking, name)) for name in ("Client", "Batch", "WebhookReceiver")
}
RENAMED = {"aclose": "close"}
"""A program without an event loop closes a client as it closes a file."""
MADE_BY_OTHERS = {"Batch", "WebhookReceiver"}
"""Their constructors belong to nobody's program."""
ANNOTATIONS = {
    "Jobs": "Iterable[Job | Input]",  # an asynchronous iterator needs an event loop
    "AsyncGenerator[bytes]": "Generator[bytes]",
    "AsyncIterator[Event]": "Iterator[Event]",
    "ProgressDisplay": "ProgressContext",
}
"""What differs in its type, and is the same thing."""


def public(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of a class and its bases, by name."""
    return {
        name: value
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and (callable(value) or isinstance(value, property))
    }


def parameters(function: Callable[..., object]) -> list[tuple[str, object, object, str]]:
    """Return what a caller writes: the names, kinds, defaults and types of the parameters."""
    return [
        (one.name, one.kind, one.default, ANNOTATIONS.get(str(one.annotation), str(one.annotation)))
        for one in inspect.signature(function).parameters.values()
    ]


def first_sentence(value: object) -> str:
    """Return the first sentence of a docstring."""
    return re.split(r"(?<=\.)\s", inspect.getdoc(value) or "")[0]


def differences(asynchronous: type, plain: type) -> list[str]:
    """Return what a program meets in one of two classes only."""
    ours, theirs = public(plain), {RENAMED.get(name, name): value for name, value in public(asynchronous).items()}
    found = [f"{name} is missing" for name in theirs.keys() - ours.keys()]
    for name in sorted(theirs.keys() & ours.keys()):
        one, other = theirs[name], ours[name]
        if first_sentence(one) != first_sentence(other):
            found.append(f"{name}: {first_sentence(other)!r} is not {first_sentence(one)!r}")
        if isinstance(one, property):
            continue
        if parameters(one) != parameters(other):
            found.append(f"{name} has other parameters")
        returned = str(inspect.signature(one).return_annotation)
        if ANNOTATIONS.get(returned, returned) != str(inspect.signature(other).return_annotation):
            found.append(f"{name} returns another type")
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_the_two_faces_agree(name: str) -> None:
    """Each public name is there with the parameters, defaults, types and first sentence of the asynchronous one."""
    assert [] == differences(*PAIRS[name])


def test_nothing_is_added() -> None:
    """The blocking classes have no public name that a program could not take along to asyncio."""
    own = {name: set(public(plain)) - set(public(one)) for name, (one, plain) in PAIRS.items()}
    assert {"Client": {"close"}, "Batch": set(), "WebhookReceiver": set()} == own


def test_clients_are_made_alike() -> None:
    """The constructor takes the same arguments."""
    assert parameters(kling_async.Client.__init__) == parameters(blocking.Client.__init__)
    assert first_sentence(kling_async.Client) == first_sentence(blocking.Client)


def test_progress_is_shown_alike() -> None:
    """`show_progress` takes the same arguments."""
    assert parameters(kling_async.show_progress) == parameters(blocking.show_progress)
    assert first_sentence(kling_async.show_progress) == first_sentence(blocking.show_progress)


class Drifted(blocking.Client):
    """Generate images and videos, through one or several providers."""

    def wait(self, prediction: object, *, wait_timeout: float = 60.0) -> None:  # type: ignore[override]
        """Wait."""


def test_a_difference_is_noticed() -> None:
    """Negative control: another default, type and sentence are found, and so is a method that is missing."""
    found = differences(kling_async.Client, Drifted)
    assert [
        "wait: 'Wait.' is not 'Wait until a prediction is finished, whatever its status, and return it.'",
        "wait has other parameters",
        "wait returns another type",
    ] == found
    assert "generate is missing" in differences(kling_async.Client, blocking.Batch)

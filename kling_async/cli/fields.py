"""Fields of an input, from the texts that people type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from attrs import fields

from ..errors import InputError, InputFault
from ..inputs import ImageInput, Input, Shot, VideoInput
from ..prediction import Json, OutputKind
from ..providers import PROVIDERS
from ..providers.rules import suggestion

__all__ = ["input_from", "kind_of"]

_Values: TypeAlias = Mapping[str, Callable[[str], object]]


def _truth(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known[text.strip().lower()]


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())


def _shots(text: str) -> tuple[Shot, ...]:
    pairs = [part.rpartition("=") for part in text.split("|")]
    return tuple(Shot(prompt.strip(), int(seconds)) for prompt, _, seconds in pairs)


_READ: Final[_Values] = {
    "n": int,
    "duration": int,
    "multi_shot": _truth,
    "keep_original_sound": _truth,
    "images": _list,
    "shots": _shots,
}
_MEANT: Final = {
    "n": "a whole number",
    "duration": "a whole number of seconds",
    "multi_shot": "true or false",
    "keep_original_sound": "true or false",
    "shots": "PROMPT=SECONDS|PROMPT=SECONDS",
}


def kind_of(model: str) -> OutputKind:
    """Return what a model makes. Raises InputError if no provider has it."""
    for provider in PROVIDERS.values():
        if model in provider.models:
            return provider.models[model].kind
    names = sorted({name for provider in PROVIDERS.values() for name in provider.models})
    allowed = f"must be one of {', '.join(names)}{suggestion(model, names)}"
    raise InputError.of("Unknown model", [InputFault("model", model, allowed)])


def input_from(prompt: str, *, model: str, settings: Iterable[str]) -> Input:
    """Make an input of a prompt and of settings such as `n=2`, `images=URL|URL` or `extra.sound=false`.

    Raises:
        InputError: a setting names no field, or its value cannot be read.
    """
    kind = ImageInput if kind_of(model) is OutputKind.IMAGE else VideoInput
    names = [field.name for field in fields(kind) if field.name not in ("prompt", "model", "extra")]
    given: dict[str, object] = {}
    extra: dict[str, Json] = {}
    faults: list[InputFault] = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if name.startswith("extra.") and equals:
            extra[name.removeprefix("extra.")] = _json(text)
        elif name not in names or not equals:
            faults.append(
                InputFault(
                    name,
                    text,
                    f"must be NAME=VALUE with one of {', '.join(names)}, extra.NAME" + suggestion(name, names),
                )
            )
        else:
            try:
                given[name] = _READ.get(name, str)(text)
            except (ValueError, KeyError):
                faults.append(InputFault(name, text, f"must be {_MEANT[name]}"))
    if faults:
        raise InputError.of("The settings cannot be read", faults)
    return kind(prompt, model=model, extra=extra, **cast("dict[str, Any]", given))


def _json(text: str) -> Json:
    try:
        return cast("Json", json.loads(text))
    except ValueError:
        return text

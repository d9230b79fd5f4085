"""Columns of a sheet and settings of the command line: texts become the fields of an input."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard, cast

from attrs import fields, frozen

from ..errors import InputError, InputFault
from ..inputs import ImageInput, Input, Shot, VideoInput
from ..prediction import Json, OutputKind
from ..providers import PROVIDERS
from ..providers.rules import suggestion

__all__ = [
    "COLUMNS",
    "Fields",
    "Made",
    "column_fault",
    "input_of",
    "is_fields",
    "kind_of",
    "read_settings",
    "read_texts",
]

Fields: TypeAlias = Mapping[str, object]
"""Values by name, each as it was read."""

_KINDS: Final[Mapping[OutputKind, type[Input]]] = {OutputKind.IMAGE: ImageInput, OutputKind.VIDEO: VideoInput}
_NAMES: Final = {kind: tuple(field.name for field in fields(made)) for kind, made in _KINDS.items()}
COLUMNS: Final = tuple(
    dict.fromkeys(("key", "provider", "kind", *(name for names in _NAMES.values() for name in names)))
)
"""What a row may say beside `vars` and `zip`; `extra.NAME` stands for one entry of `extra`."""

_BESIDE: Final = frozenset({"key", "provider", "kind"})
"""Columns that are no field of an input."""
_OF_EACH_ROW: Final = ("key", "prompt")
"""Columns that differ in each row, so that one setting for all would be a slip."""


def kind_of(model: str) -> OutputKind:
    """Return what a model makes. Raises InputError if no provider has it."""
    for provider in PROVIDERS.values():
        if model in provider.models:
            return provider.models[model].kind
    names = sorted({name for provider in PROVIDERS.values() for name in provider.models})
    allowed = f"must be one of {', '.join(names)}{suggestion(model, names)}"
    raise InputError.of("Unknown model", [InputFault("model", model, allowed)])


@frozen
class Made:
    """An input that was made of fields, or everything that is wrong with them."""

    input: Input | None
    faults: tuple[InputFault, ...] = ()


def column_fault(name: str, *, columns: Sequence[str] = COLUMNS) -> InputFault | None:
    """Return what is wrong with a column's name, if anything."""
    if name in columns or (name.startswith("extra.") and name != "extra."):
        return None
    near = suggestion(name, columns) or f"; there are {', '.join(columns)}, extra.NAME"
    return InputFault(name, name, f"is no column{near}")


def read_settings(settings: Iterable[str], *, without: Collection[str] = _OF_EACH_ROW) -> dict[str, object]:
    """Read settings such as `n=2` or `images=URL|URL`; one without a value is None, which means the default.

    Raises:
        InputError: a setting names no field, or its value cannot be read.
    """
    texts: dict[str, str] = {}
    faults: list[InputFault] = []
    names = [name for name in COLUMNS if name not in without]
    for setting in settings:
        name, equals, text = setting.partition("=")
        head, dot, rest = name.strip().partition(".")
        name = head.replace("-", "_") + dot + rest
        if not equals or column_fault(name, columns=names) is not None:
            near = suggestion(name, names)
            faults.append(
                InputFault(name, text, f"must be NAME=VALUE with one of {', '.join(names)}, extra.NAME{near}")
            )
        texts[name] = text
    values, unreadable = read_texts({name: text for name, text in texts.items() if text.strip()})
    faults += [fault for fault in unreadable if fault.field not in {known.field for known in faults}]
    if faults:
        raise InputError.of("The settings cannot be read", faults)
    return {**dict.fromkeys(texts), **values}


def read_texts(texts: Mapping[str, str]) -> tuple[dict[str, object], list[InputFault]]:
    """Read the texts of known columns: their values, and what is wrong with the others."""
    values: dict[str, object] = {}
    faults: list[InputFault] = []
    for name, text in texts.items():
        try:
            values[name] = _read(name, text)
        except (ValueError, KeyError, OverflowError):  # of a number without end
            faults.append(InputFault(name, text, f"must be {_MEANT[name]}"))
    return values, faults


def _read(name: str, text: str) -> object:
    if name.startswith("extra."):
        return _read_json(text)
    return _READ[name](text) if name in _READ else text if name == "prompt" else text.strip()


def input_of(given: Fields) -> Made:
    """Make an input of fields, some of which may be None for their default."""
    values = {name: value for name, value in given.items() if value is not None and name not in _BESIDE}
    try:
        kind = _kind(given.get("kind"), values.get("model"))
    except InputError as error:
        return Made(None, error.faults)
    kept: dict[str, object] = {"prompt": ""}
    extra: dict[str, object] = {}
    faults: list[InputFault] = [] if "prompt" in values else [InputFault("prompt", None, "is missing")]
    for name, value in values.items():
        fault = _misplaced(name, value, kind)
        if fault is not None:
            faults.append(fault)
        elif name.startswith("extra."):
            extra[name.removeprefix("extra.")] = value
        elif name == "shots":
            kept[name], found = _shots_of(value)
            faults += found
        else:
            kept[name] = _whole(value) if name in _WHOLE else value
    if extra and is_fields(kept.get("extra", extra)):
        kept["extra"] = {**cast("Fields", kept.get("extra", {})), **extra}
    try:
        made = _KINDS[kind](**cast("dict[str, Any]", kept))
    except InputError as error:
        return Made(None, (*faults, *error.faults))
    return Made(None if faults else made, tuple(faults))


def _kind(kind: object, model: object) -> OutputKind:
    if kind is not None and kind not in tuple(OutputKind):
        raise InputError.of("Unknown kind", [InputFault("kind", kind, "must be image or video")])
    wanted = None if kind is None else OutputKind(str(kind))
    if not isinstance(model, str):
        # A model that is no text is told by the input itself.
        return wanted or OutputKind.IMAGE
    known = kind_of(model)
    if wanted not in (None, known):
        raise InputError.of("Two kinds", [InputFault("kind", kind, f"must be {known.value}, which {model} makes")])
    return known


def _misplaced(name: str, value: object, kind: OutputKind) -> InputFault | None:
    if name in COLUMNS and name not in _NAMES[kind]:
        other = next(one for one in OutputKind if one is not kind)
        return InputFault(name, value, f"is for {other.value}s only, and the model makes {kind.value}s")
    return column_fault(name)


def _shots_of(value: object) -> tuple[tuple[Shot, ...], list[InputFault]]:
    if not isinstance(value, (list, tuple)):
        return (), [InputFault("shots", value, "must be a list of {prompt, duration}")]
    shots: list[Shot] = []
    faults: list[InputFault] = []
    for place, one in enumerate(cast("Sequence[object]", value), start=1):
        if isinstance(one, Shot):
            shots.append(one)
        elif not is_fields(one) or set(one) != {"prompt", "duration"}:
            faults.append(InputFault("shots", one, f"entry {place} must have prompt and duration, and nothing else"))
        else:
            try:
                shots.append(Shot(cast("str", one["prompt"]), cast("int", _whole(one["duration"]))))
            except InputError as error:
                faults += [
                    InputFault("shots", wrong.value, f"entry {place}: {wrong.field} {wrong.allowed}")
                    for wrong in error.faults
                ]
    return tuple(shots), faults


def _whole(value: object) -> object:
    # Tools that know one kind of number only write 5.0 where 5 was meant.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _read_truth(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known[text.strip().lower()]


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())


def _read_shots(text: str) -> tuple[Shot, ...]:
    pairs = [part.rpartition("=") for part in text.split("|")]
    return tuple(Shot(prompt.strip(), _read_whole(seconds)) for prompt, _, seconds in pairs)


def _read_json(text: str) -> Json:
    try:
        return cast("Json", json.loads(text, parse_constant=_read_nothing))
    except (ValueError, RecursionError):
        return text


def _read_nothing(word: str) -> object:
    raise ValueError(word)  # NaN and Infinity are words to JSON


def _read_object(text: str) -> object:
    value = _read_json(text)
    if not is_fields(value):
        raise ValueError(text)
    return value


def is_fields(value: object) -> TypeGuard[Fields]:
    """Return whether a value of JSON is an object."""
    return isinstance(value, Mapping)


_WHOLE: Final = ("n", "duration")
_READ: Final[Mapping[str, Callable[[str], object]]] = {
    **dict.fromkeys(_WHOLE, _read_whole),
    **dict.fromkeys(("multi_shot", "keep_original_sound"), _read_truth),
    "images": _read_list,
    "shots": _read_shots,
    "extra": _read_object,
}
_MEANT: Final = {
    "n": "a whole number",
    "duration": "a whole number of seconds",
    "multi_shot": "true or false",
    "keep_original_sound": "true or false",
    "shots": "PROMPT=SECONDS|PROMPT=SECONDS",
    "extra": "a JSON object",
}

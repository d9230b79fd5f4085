"""Columns of job files and settings of the command line: convert texts into the fields of an input."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeGuard, cast

from attrs import fields, frozen

from ...providers.parameter_rules import suggestion
from ...types.errors import InputError, InputFault
from ...types.inputs import ImageInput, Input, Shot, VideoInput
from ...types.prediction import Json, OutputKind
from ..targets import known_model

__all__ = [
    "COLUMNS",
    "Fields",
    "NameFault",
    "ParsedInput",
    "column_fault",
    "is_fields",
    "key_of",
    "kind_of",
    "labels_of",
    "parse_input",
    "read_settings",
    "read_texts",
]

Fields: TypeAlias = Mapping[str, object]
"""Values by name, as they were read."""

_KINDS: Final[Mapping[OutputKind, type[Input]]] = {OutputKind.IMAGE: ImageInput, OutputKind.VIDEO: VideoInput}
_NAMES: Final = {kind: dict.fromkeys(field.name for field in fields(made)) for kind, made in _KINDS.items()}
"""In their order, as keys, since each row asks for several."""
COLUMNS: Final = tuple(
    dict.fromkeys(("key", "provider", "kind", *(name for names in _NAMES.values() for name in names)))
)
"""Column names beside `vars` and `zip`; `extra.NAME` is one entry of `extra`."""

_BESIDE: Final = frozenset({"key", "provider", "kind"})
"""Columns that are not fields of an input."""
_ALIASES: Final = {"id": "key", "custom_id": "key", "name": "key"}
"""Names that other tools use for a column of ours."""
_OF_EACH_ROW: Final = ("key", "prompt")
"""Columns that differ in each row, so one setting for all rows would be a mistake."""


class NameFault(InputFault):
    """A fault of a column's name or of a key; its sentence is complete and names it."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.allowed


@lru_cache(maxsize=1000)
def kind_of(model: str) -> OutputKind:
    """Return the kind of output of a model. Raises InputError if no provider has the model."""
    return known_model(model).kind


@frozen
class ParsedInput:
    """The input made from fields, or None and the faults of the fields."""

    input: Input | None
    faults: tuple[InputFault, ...] = ()


def column_fault(name: str, *, columns: Sequence[str] = COLUMNS) -> InputFault | None:
    """Return the fault of an unknown column name, or None."""
    if name in columns or (name.startswith("extra.") and name != "extra."):
        return None
    if name in _ALIASES:
        hint = f"; did you mean {_ALIASES[name]}? --column {name}={_ALIASES[name]} in a table"
    else:
        hint = suggestion(name, columns) or f"; the columns are {', '.join(columns)}, extra.NAME"
    return NameFault(name, name, f'unknown column "{name}"{hint}')


def read_settings(settings: Iterable[str], *, without: Collection[str] = _OF_EACH_ROW) -> dict[str, object]:
    """Read settings such as `n=2` or `images=URL|URL`. An empty value is None, which means the default.

    Raises:
        InputError: a setting has an unknown name, or its value cannot be read.
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
                InputFault(name, text, f"must be NAME=VALUE, where NAME is one of {', '.join(names)}, extra.NAME{near}")
            )
        texts[name] = text
    values, unreadable = read_texts({name: text for name, text in texts.items() if text.strip()})
    faults += [fault for fault in unreadable if fault.field not in {known.field for known in faults}]
    if faults:
        raise InputError.of("Invalid settings", faults)
    return {**dict.fromkeys(texts), **values}


def read_texts(texts: Mapping[str, str]) -> tuple[dict[str, object], list[InputFault]]:
    """Read the texts of known columns; return the values, and the faults of those that cannot be read."""
    values: dict[str, object] = {}
    faults: list[InputFault] = []
    for name, text in texts.items():
        try:
            values[name] = _read(name, text)
        except (ValueError, KeyError, OverflowError):  # OverflowError: infinity
            faults.append(InputFault(name, text, f"must be {_EXPECTED[name]}"))
    return values, faults


def _read(name: str, text: str) -> object:
    if name.startswith("extra."):
        return _read_json(text)
    return _READ[name](text) if name in _READ else text if name == "prompt" else text.strip()


def parse_input(given: Fields) -> ParsedInput:
    """Build an input from fields; None means the field's default."""
    values = {name: value for name, value in given.items() if value is not None and name not in _BESIDE}
    try:
        kind = _kind(given.get("kind"), values.get("model"))
    except InputError as error:
        return ParsedInput(None, error.faults)
    kept: dict[str, object] = {"prompt": ""}
    extra: dict[str, object] = {}
    faults = [] if values.keys() & {"prompt", "shots"} else [InputFault("prompt", None, "is missing")]
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
            kept[name] = _is_int(value) if name in _INTEGERS else value
    if extra and is_fields(kept.get("extra", extra)):
        kept["extra"] = {**cast("Fields", kept.get("extra", {})), **extra}
    try:
        made = _KINDS[kind](**cast("dict[str, Any]", kept))
    except InputError as error:
        return ParsedInput(None, (*faults, *error.faults))
    return ParsedInput(None if faults else made, tuple(faults))


def _kind(kind: object, model: object) -> OutputKind:
    if kind is not None and kind not in tuple(OutputKind):
        raise InputError.of("Unknown kind", [InputFault("kind", kind, "must be image or video")])
    wanted = None if kind is None else OutputKind(str(kind))
    if not isinstance(model, str):
        # The input itself reports a model that is not a string.
        return wanted or OutputKind.IMAGE
    known = kind_of(model)
    if wanted not in (None, known):
        raise InputError.of(
            "Conflicting kinds", [InputFault("kind", kind, f"must be {known.value}, the kind of {model}")]
        )
    return known


def _misplaced(name: str, value: object, kind: OutputKind) -> InputFault | None:
    if name in _NAMES[kind]:
        return None
    if name in COLUMNS:
        other = next(one for one in OutputKind if one is not kind)
        return InputFault(name, value, f"is for {other.value}s only, but the model makes {kind.value}s")
    return column_fault(name)


def _shots_of(value: object) -> tuple[tuple[Shot, ...], list[InputFault]]:
    if not isinstance(value, (list, tuple)):
        return (), [InputFault("shots", value, "must be a list of {prompt, duration}")]
    shots: list[Shot] = []
    faults: list[InputFault] = []
    for number, one in enumerate(cast("Sequence[object]", value), start=1):
        if isinstance(one, Shot):
            shots.append(one)
        elif not is_fields(one) or set(one) != {"prompt", "duration"}:
            faults.append(InputFault("shots", one, f"entry {number} must have prompt and duration, and nothing else"))
        else:
            try:
                shots.append(Shot(cast("str", one["prompt"]), cast("int", _is_int(one["duration"]))))
            except InputError as error:
                faults += [
                    InputFault("shots", wrong.value, f"entry {number}: {wrong.field} {wrong.allowed}")
                    for wrong in error.faults
                ]
    return tuple(shots), faults


def key_of(key: object) -> tuple[str | None, list[InputFault]]:
    """Return the key of a row, with its faults; a number is one as text."""
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key), []
    if key is None or isinstance(key, str):
        return key, []
    return None, [InputFault("key", key, "must be text")]


def labels_of(labels: object) -> tuple[Mapping[str, str], list[InputFault]]:
    """Return the labels of a row, with their faults."""
    if labels is None:
        return {}, []
    if is_fields(labels) and all(isinstance(text, str) for text in labels.values()):
        return cast("Mapping[str, str]", labels), []
    return {}, [InputFault("labels", labels, 'must be an object of strings: {"NAME": "text"}')]


def _is_int(value: object) -> object:
    # Tools with only one number type write 5.0 for 5.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_int(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _read_bool(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known[text.strip().lower()]


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())


def _read_shots(text: str) -> tuple[Shot, ...]:
    pairs = [part.rpartition("=") for part in text.split("|")]
    return tuple(Shot(prompt.strip(), _read_int(seconds)) for prompt, _, seconds in pairs)


def _read_json(text: str) -> Json:
    try:
        return cast("Json", json.loads(text, parse_constant=_reject_constant))
    except (ValueError, RecursionError):
        return text


def _reject_constant(word: str) -> object:
    raise ValueError(word)  # NaN and Infinity are not JSON


def _read_object(text: str) -> object:
    value = _read_json(text)
    if not is_fields(value):
        raise ValueError(text)
    return value


def is_fields(value: object) -> TypeGuard[Fields]:
    """Return whether a JSON value is an object."""
    return isinstance(value, Mapping)


_INTEGERS: Final = ("n", "duration")
_BOOLEANS: Final = ("multi_shot", "sound", "keep_original_sound")
_READ: Final[Mapping[str, Callable[[str], object]]] = {
    **dict.fromkeys(_INTEGERS, _read_int),
    **dict.fromkeys(_BOOLEANS, _read_bool),
    **dict.fromkeys(("images", "keyframes", "videos", "audios"), _read_list),
    "shots": _read_shots,
    "extra": _read_object,
}
_EXPECTED: Final = {
    "n": "a whole number",
    "duration": "a whole number of seconds",
    **dict.fromkeys(_BOOLEANS, "true or false"),
    "shots": "PROMPT=SECONDS|PROMPT=SECONDS",
    "extra": "a JSON object",
}

"""Prompt matrices: expand one input with `{names}` in its texts into a job for each combination of values.

Theory of operation. Every axis has a name and values. Each value gets a slug that is unique within its axis and has no
hyphen. The slugs of a combination, joined by hyphens, are a key that no other combination has. A slug depends only on
its value, and on earlier values only where two would get the same slug. So keys stay the same when values are appended,
and a resumed run finds its jobs again.

An axis named `provider` or `model` sets that field of the job, so that the same prompts run at several of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Final, TypeAlias, TypeGuard, cast

from attrs import evolve, fields, frozen

from ..providers.parameter_rules import suggestion
from ..types.errors import InputError, InputFault
from ..types.inputs import Input, Shot
from ..types.jobs import Job
from .targets import alias_faults, name_faults, refusals

__all__ = ["AXIS_FIELDS", "Combination", "Value", "combinations", "matrix", "slug", "substitute", "with_axis_fields"]

Value: TypeAlias = str | int | float | bool
"""A value of an axis."""

_MAX_COMBINATIONS: Final = 100_000
"""Maximum combinations of one matrix: all are in memory, and a larger product is a mistake."""
_MAX_KEY_LENGTH: Final = 200
_MAX_SLUG, _MIN_SLUG = 40, 12
"""Limits for the characters of a slug: the key has room for fewer where many axes share it."""
_NOT_TEXT: Final = frozenset({"extra", "n", "duration", "multi_shot", "keep_original_sound"})
"""Fields that take the value itself and not its text."""
AXIS_FIELDS: Final = frozenset({"provider", "model"})
"""Fields that an axis of the same name sets."""
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@frozen
class Combination:
    """One value of each axis, by the axis's name, and the key made of them."""

    values: Mapping[str, Value]
    key: str

    @property
    def labels(self) -> dict[str, str]:
        """The values as text, by axis."""
        return {name: _text(value) for name, value in self.values.items()}


def matrix(template: Input | Job, /, *, zip: bool = False, **axes: Iterable[Value]) -> list[Job]:
    """Create a job for each combination of values. Its key is made of the values, which are also its labels.

    `{name}` in any text of the input is replaced; `{{` and `}}` are braces. A text in `extra` that is only `{name}`
    becomes the value itself, so a number stays a number.

    Axes named `provider` and `model` also set the job's provider and the input's model, unless the template has a text
    with a `{name}` there. With one of them every job is checked at its provider, or, if no provider is named, at all
    that have the model.

    Args:
        template: an input, or a job whose key is the prefix of all keys.
        zip: combine the first values of all axes, then the second values, and so on, instead of every combination.
        axes: the values of each name.

    Raises:
        InputError: a name is unknown or unused, an axis is empty, zipped axes differ in length, or an axis has a
            provider or a model that is unknown or does not take the input; it has all faults.
    """
    job = template if isinstance(template, Job) else Job(template)
    given = {field.name: getattr(job.input, field.name) for field in fields(type(job.input))}
    document = with_axis_fields({"provider": job.provider, **given}, axes)
    made: list[Job] = []
    for one in combinations(document, axes, zipped=zip, prefix=job.key):
        changed = cast("dict[str, Any]", substitute(document, one.values))
        provider, labels = changed.pop("provider"), {**job.labels, **one.labels}
        input = evolve(job.input, **changed)
        made.append(evolve(job, input=input, provider=provider, key=one.key, labels=labels))
    if axes.keys() & AXIS_FIELDS and (faults := [*name_faults(refusals(made), alone=True), *alias_faults(made)]):
        raise InputError.of("Invalid matrix", faults)
    return made


def with_axis_fields(document: Mapping[str, object], axes: Iterable[str]) -> dict[str, object]:
    """Return a document whose provider and model are set by axes of these names. A text with a `{name}` there stays."""
    names = [name for name in AXIS_FIELDS if name in axes and not _has_name(document.get(name))]
    return {**document, **{name: f"{{{name}}}" for name in names}}


def _has_name(value: object) -> bool:
    return isinstance(value, str) and any(found[1] is not None for found in _TOKEN.finditer(value))


def combinations(
    document: Mapping[str, object],
    axes: Mapping[str, Iterable[Value]],
    *,
    zipped: bool = False,
    prefix: str | None = None,
) -> list[Combination]:
    """Return the combinations for a document. Raises InputError with all faults."""
    known = {name: _listed(values) for name, values in axes.items()}
    faults = [*_axis_faults(known, zipped=zipped), *_name_faults(document, known)]
    if faults:
        raise InputError.of("Invalid matrix", faults)
    room = (_MAX_KEY_LENGTH - len(prefix or "")) // len(known) - 1
    slugs = [_slugs(values, max_length=max(_MIN_SLUG, min(_MAX_SLUG, room))) for values in known.values()]
    lengths = [range(len(values)) for values in known.values()]
    picks = zip(*lengths, strict=True) if zipped else product(*lengths)
    head = () if prefix is None else (prefix,)
    return [
        Combination(
            {name: values[index] for (name, values), index in zip(known.items(), pick, strict=True)},
            "-".join([*head, *(own[index] for own, index in zip(slugs, pick, strict=True))]),
        )
        for pick in picks
    ]


def substitute(document: object, values: Mapping[str, Value], *, as_text: bool = True) -> object:
    """Substitute values in every text of a document, at any depth.

    A text that is only one name becomes the value itself, in fields that take more than text.
    """
    if isinstance(document, str):
        only = None if as_text else _TOKEN.fullmatch(document)
        return values[only[1]] if only is not None and only[1] is not None else _replaced(document, values)
    if isinstance(document, Shot):
        return evolve(document, prompt=_replaced(document.prompt, values))
    if _mapping(document):
        return {
            name: substitute(value, values, as_text=as_text and name.partition(".")[0] not in _NOT_TEXT)
            for name, value in document.items()
        }
    if _sequence(document):
        return [substitute(value, values, as_text=as_text) for value in document]
    return document


def _replaced(template: str, values: Mapping[str, Value]) -> str:
    return _TOKEN.sub(lambda found: found[0][0] if found[1] is None else _text(values[found[1]]), template)


def _texts(document: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every text in a document."""
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, Shot):
        yield f"{path}.prompt", document.prompt
    elif _mapping(document):
        for name, value in document.items():
            yield from _texts(value, f"{path}.{name}".removeprefix("."))
    elif _sequence(document):
        for index, value in enumerate(document):
            yield from _texts(value, f"{path}[{index}]")


def _axis_faults(axes: Mapping[str, Sequence[Value]], *, zipped: bool) -> Iterator[InputFault]:
    if not axes:
        yield InputFault("vars", {}, "must have at least one axis with values")
        return
    for name, values in axes.items():
        if not name.isidentifier():
            yield InputFault(f"vars.{name}", name, "must be a name of letters, digits and _")
        if not values or not all(map(_is_scalar, values)):
            yield InputFault(f"vars.{name}", values, "must be a non-empty list of strings, numbers or booleans")
        elif not zipped and (twice := _repeated(map(_text, values))) is not None:
            yield InputFault(f"vars.{name}", twice, "is listed twice")
    lengths = {name: len(values) for name, values in axes.items()}
    if not zipped:
        if prod(lengths.values()) > _MAX_COMBINATIONS:
            yield InputFault(
                "vars", lengths, f"make {prod(lengths.values()):,} jobs; the maximum is {_MAX_COMBINATIONS:,}"
            )
    elif len(set(lengths.values())) > 1:
        yield InputFault("vars", lengths, "must have equally many values, because zip pairs them")
    elif (twice := _repeated(zip(*(map(_text, values) for values in axes.values()), strict=True))) is not None:
        yield InputFault("vars", twice, "is listed twice")


def _name_faults(document: Mapping[str, object], axes: Mapping[str, Sequence[Value]]) -> Iterator[InputFault]:
    used: set[str] = set()
    for path, text in _texts(document):
        for found in _TOKEN.finditer(text):
            name = found[1]
            if name is None:
                if found[0] in "{}":
                    yield InputFault(path, text, "has a single brace; write {{ or }} for a literal brace")
            elif not name.isidentifier():
                yield InputFault(path, found[0], "is not a {name}; write {{ and }} for literal braces")
            elif name not in axes:
                yield InputFault(path, found[0], f"is not an axis{suggestion(name, axes)}")
            else:
                used.add(name)
    for name in axes:
        if name not in used:
            yield InputFault(f"vars.{name}", name, f"is not used in any text; write {{{name}}} where it belongs")


def _repeated(values: Iterable[object]) -> object | None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _slugs(values: Sequence[Value], *, max_length: int) -> list[str]:
    """Return a slug per value, unique within the axis."""
    owner: dict[str, str] = {}
    return [_slug(text, owner, max_length) for text in map(_text, values)]


def slug(text: str) -> str:
    """Return the slug of a value, whatever other values there are."""
    return _slug(text, {}, _MAX_SLUG)


def _slug(text: str, owner: dict[str, str], max_length: int) -> str:
    """Return the first slug of a text that no other text owns yet, and make the text its owner."""
    plain = re.sub(r"[^\w.]+", "_", text.lower()).strip("_.") or "none"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    candidates = [plain] if len(plain) <= max_length else []
    candidates += [f"{plain[: max_length - 1 - length]}_{digest[:length]}" for length in (4, 8)]
    return next((one for one in candidates if owner.setdefault(one, text) == text), digest)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, int, float))


def _listed(values: object) -> Sequence[Value]:
    # To Python a string is a sequence of characters, which is never meant here.
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        return ()
    return tuple(cast("Iterable[Value]", values))


def _mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def _sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (list, tuple))

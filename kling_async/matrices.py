"""Prompt matrices: one input with `{names}` in its texts becomes a job for each combination of values.

Theory of operation. Every axis has a name and values. Each value gets a word that is its own within the axis and holds
no hyphen, so the words of a combination, joined by hyphens, make a key that no other combination has. A word follows
from its value, and from earlier values only where two would get the same. So a key stays what it is when values are
added at the end, and a run that is resumed finds its jobs again.
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

from .errors import InputError, InputFault
from .inputs import Input, Job, Shot
from .providers.rules import suggestion

__all__ = ["Combination", "Value", "combinations", "filled", "matrix"]

Value: TypeAlias = str | int | float | bool
"""What an axis may hold."""

_MOST: Final = 100_000
"""Combinations of one matrix: all of them are held, and more than that is a slip of the product."""
_LONGEST_KEY: Final = 200
_LONGEST_WORD, _SHORTEST_WORD = 40, 12
"""Characters that a value may have in a key; fewer where many axes share it."""
_NOT_TEXT: Final = frozenset({"extra", "n", "duration", "multi_shot", "keep_original_sound"})
"""Fields that take a value as it is, where a text would be wrong."""
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@frozen
class Combination:
    """One value of each axis, by the axis's name, and the key that is made of them."""

    values: Mapping[str, Value]
    key: str

    @property
    def labels(self) -> dict[str, str]:
        """The values as texts."""
        return {name: _text(value) for name, value in self.values.items()}


def matrix(template: Input | Job, /, *, zip: bool = False, **axes: Iterable[Value]) -> list[Job]:
    """Make a job for each combination of values, with keys made of the values, and the values as labels.

    `{name}` in any text of the input is filled in; `{{` and `}}` are braces. A text in `extra` that is nothing but
    `{name}` becomes the value itself, so that a number stays a number.

    Args:
        template: an input, or a job whose key the keys begin with.
        zip: take the first value of each axis, then the second of each, and so on, in place of all combinations.
        axes: the values of each name.

    Raises:
        InputError: a name is unknown or unused, an axis is empty, or the axes do not fit together.
    """
    job = template if isinstance(template, Job) else Job(template)
    document = {field.name: getattr(job.input, field.name) for field in fields(type(job.input))}
    made: list[Job] = []
    for one in combinations(document, axes, zipped=zip, prefix=job.key):
        changed = cast("dict[str, Any]", filled(document, one.values))
        labels = {**job.labels, **one.labels}
        made.append(evolve(job, input=evolve(job.input, **changed), key=one.key, labels=labels))
    return made


def combinations(
    document: Mapping[str, object],
    axes: Mapping[str, Iterable[Value]],
    *,
    zipped: bool = False,
    prefix: str | None = None,
) -> list[Combination]:
    """Return the combinations that fill a document. Raises InputError with everything that is wrong."""
    known = {name: _listed(values) for name, values in axes.items()}
    faults = [*_axis_faults(known, zipped=zipped), *_name_faults(document, known)]
    if faults:
        raise InputError.of("The matrix cannot be made", faults)
    room = (_LONGEST_KEY - len(prefix or "")) // len(known) - 1
    words = [_words(values, most=max(_SHORTEST_WORD, min(_LONGEST_WORD, room))) for values in known.values()]
    lengths = [range(len(values)) for values in known.values()]
    picks = zip(*lengths, strict=True) if zipped else product(*lengths)
    head = () if prefix is None else (prefix,)
    return [
        Combination(
            {name: values[index] for (name, values), index in zip(known.items(), pick, strict=True)},
            "-".join([*head, *(own[index] for own, index in zip(words, pick, strict=True))]),
        )
        for pick in picks
    ]


def filled(document: object, values: Mapping[str, Value], *, as_text: bool = True) -> object:
    """Fill values into every text of a document, however deep.

    A text that is one name, where a field takes more than text, becomes the value itself.
    """
    if isinstance(document, str):
        only = None if as_text else _TOKEN.fullmatch(document)
        return values[only[1]] if only is not None and only[1] is not None else _replaced(document, values)
    if isinstance(document, Shot):
        return evolve(document, prompt=_replaced(document.prompt, values))
    if _mapping(document):
        return {
            name: filled(value, values, as_text=as_text and name.partition(".")[0] not in _NOT_TEXT)
            for name, value in document.items()
        }
    if _sequence(document):
        return [filled(value, values, as_text=as_text) for value in document]
    return document


def _replaced(template: str, values: Mapping[str, Value]) -> str:
    return _TOKEN.sub(lambda found: found[0][0] if found[1] is None else _text(values[found[1]]), template)


def _texts(document: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document, beside its path."""
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
        yield InputFault("vars", {}, "must name at least one axis, with its values")
        return
    for name, values in axes.items():
        if not name.isidentifier():
            yield InputFault(f"vars.{name}", name, "is no plain name: letters, digits and _")
        if not values or not all(map(_usable, values)):
            yield InputFault(f"vars.{name}", values, "must be a list of texts, numbers or truths, and not empty")
        elif not zipped and (twice := _repeated(map(_text, values))) is not None:
            yield InputFault(f"vars.{name}", twice, "stands twice")
    lengths = {name: len(values) for name, values in axes.items()}
    if not zipped:
        if prod(lengths.values()) > _MOST:
            yield InputFault("vars", lengths, f"make {prod(lengths.values()):,} jobs; one matrix takes {_MOST:,}")
    elif len(set(lengths.values())) > 1:
        yield InputFault("vars", lengths, "must all have as many values as each other, since zip pairs them")
    elif (twice := _repeated(zip(*(map(_text, values) for values in axes.values()), strict=True))) is not None:
        yield InputFault("vars", twice, "stands twice")


def _name_faults(document: Mapping[str, object], axes: Mapping[str, Sequence[Value]]) -> Iterator[InputFault]:
    used: set[str] = set()
    for path, text in _texts(document):
        for found in _TOKEN.finditer(text):
            name = found[1]
            if name is None:
                if found[0] in "{}":
                    yield InputFault(path, text, "has a single brace; write {{ or }} for one that is meant")
            elif not name.isidentifier():
                yield InputFault(path, found[0], "is no plain {name}; write {{ and }} for braces that are meant")
            elif name not in axes:
                yield InputFault(path, found[0], f"names no axis{suggestion(name, axes)}")
            else:
                used.add(name)
    for name in axes:
        if name not in used:
            yield InputFault(f"vars.{name}", name, f"is used by no text; write {{{name}}} where it belongs")


def _repeated(values: Iterable[object]) -> object | None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _words(values: Sequence[Value], *, most: int) -> list[str]:
    """Return a word per value, its own within the axis."""
    owner: dict[str, str] = {}
    words: list[str] = []
    for text in map(_text, values):
        plain = re.sub(r"[^\w.]+", "_", text.lower()).strip("_.") or "none"
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        tries = [plain] if len(plain) <= most else []
        tries += [f"{plain[: most - 1 - length]}_{digest[:length]}" for length in (4, 8)]
        word = next((one for one in tries if owner.setdefault(one, text) == text), digest)
        words.append(word)
    return words


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _usable(value: object) -> bool:
    return isinstance(value, (str, int, float))


def _listed(values: object) -> Sequence[Value]:
    # A text is a list of letters to Python, which is never what was meant.
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        return ()
    return tuple(cast("Iterable[Value]", values))


def _mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def _sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (list, tuple))
